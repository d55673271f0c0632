"""How long a run still takes: later stages by their tokens, at the speed of those before them."""

from collections.abc import Sequence

from r1trl.report.state import RecordedStage

Timed = tuple[RecordedStage, float]  # a stage, and the seconds that all of it takes


def seconds_of(to_come: Sequence[RecordedStage], timed: Sequence[Timed]) -> float | None:
    """Return about how long stages take that are to come; None if that is not known.

    A token takes as long as in the stages before of the same kind; without any, in those that
    train too, or do not either; without any, in all of them.
    """
    known = [each for each in timed if _tokens(each[0])]
    if not known or not all(map(_tokens, to_come)):
        return None
    return sum(_seconds(stage, known) for stage in to_come)


def _seconds(stage: RecordedStage, timed: Sequence[Timed]) -> float:
    same = [each for each in timed if each[0].kind == stage.kind]
    alike = [each for each in timed if bool(each[0].trained) == bool(stage.trained)]
    near = same or alike or timed
    tokens = sum(_tokens(other) for other, _ in near)
    return _tokens(stage) * sum(seconds for _, seconds in near) / tokens


def _tokens(stage: RecordedStage) -> float:
    return stage.drawn + stage.trained
