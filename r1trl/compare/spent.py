"""What each stage of each run has taken: seconds and tokens."""

from collections.abc import Sequence
from dataclasses import dataclass

from r1trl.compare.runs import ComparedRun
from r1trl.identity.taken import taken_from
from r1trl.report.state import StageState

TRAINED, SPENT = "num_tokens", "tokens_spent"


@dataclass(frozen=True)
class Spent:
    """What a stage has taken; None where that is not known, as of a stage that has not finished.

    `elsewhere` is the run that has carried it out, of a stage that a sweep has taken over from one.
    """

    state: str
    seconds: float | None
    tokens: float | None
    elsewhere: str = ""


def spent(runs: Sequence[ComparedRun], stage: str) -> list[Spent | None]:
    """Return what a stage has taken in each run; None of a run that has no such stage."""
    found = [run.stage(stage) for run in runs]
    return [_of(each) if each else None for each in found]


def _of(stage: StageState) -> Spent:
    seconds = stage.result.seconds if stage.result else None
    return Spent(stage.state, seconds, _tokens(stage), taken_from(stage.folder))


def _tokens(stage: StageState) -> float | None:
    """Return the tokens that a finished stage has trained on, or has generated."""
    if stage.result is None:
        return None
    trained = stage.result.metrics.get(TRAINED)
    return _generated(stage) if trained is None else trained


def _generated(stage: StageState) -> float | None:
    from pyarrow.parquet import read_schema, read_table

    file = stage.folder / "rollouts.parquet"
    if not file.exists() or SPENT not in read_schema(file).names:
        return None
    return float(sum(read_table(file, columns=[SPENT])[SPENT].to_pylist()))


def total(each: Sequence[float | None]) -> float | None:
    """Return the sum of what is known; None if nothing is."""
    known = [value for value in each if value is not None]
    return sum(known) if known else None
