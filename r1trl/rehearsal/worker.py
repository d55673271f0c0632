"""A stage of a rehearsal: the ordinary worker, which notes what would end the stage or the run."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1trl.checkpoints.marks import marked_steps
from r1trl.config.schema import StageConfig
from r1trl.errors import Interrupted, R1trlError
from r1trl.run.transitions import StageTransitions
from r1trl.run.work import StageWork
from r1trl.run.worker import run_stage, run_stage_folder
from r1trl.stage.notes import read_notes, write_note
from r1trl.types import Progress, StageResult

if TYPE_CHECKING:
    from r1trl.generation.answers import RowGenerator

TRIED_ROWS = 2  # of each source, by every reward


@dataclass
class RehearsedWork(StageWork):
    """The work of a stage in a rehearsal.

    Filters that leave nothing are noted, and the rows go on without them. Every reward scores rows
    of every source, whatever step it counts from. A gold completion is in each drawn group.
    """

    def __post_init__(self) -> None:
        """Note filters that leave nothing."""
        self.on_empty = functools.partial(write_note, self.folder)

    def rollouts(self, trainer_class: Any, config_class: Any, **fixed: Any) -> Any:
        """Return a trainer, after every reward has scored rows of every source."""
        trainer = super().rollouts(trainer_class, config_class, **fixed)
        rows = trainer.train_dataset
        for source in dict.fromkeys(rows["source"]):
            chosen = [i for i, name in enumerate(rows["source"]) if name == source]
            columns = rows.select(chosen[:TRIED_ROWS]).to_dict()
            texts = [str(gold) for gold in columns.get("solution", columns["question"])]
            ids = self.tokenizer()(texts, add_special_tokens=False)["input_ids"]
            self.scorer.score({**columns, "completion": texts, "completion_ids": ids})
        return trainer

    def train(self, trainer: Any) -> dict[str, float]:
        """Train one step and leave with its checkpoint; continue from it when there is one."""
        from r1trl.training.callbacks import StopAfterStep

        if marked_steps(self.folder / "checkpoints"):
            return super().train(trainer)
        trainer.add_callback(StopAfterStep())
        super().train(trainer)
        raise Interrupted("the first step of a rehearsal")

    def generator(self, stage: StageConfig, correct: str | None) -> "RowGenerator":
        """Return what generates completions, gold ones among them."""
        from r1trl.rehearsal.gold import GoldRowGenerator

        return GoldRowGenerator(stage, self.scorer, self.plugins, self.key, self.folder, correct)


@dataclass(frozen=True)
class RehearsedTransitions(StageTransitions):
    """Transitions whose reasons to stop are noted in the stage's folder, and not obeyed."""

    folder: Path = Path()

    @property
    def should_stop(self) -> Mapping[str, Callable[[Progress], str | None]]:
        """Return the `should_stop` of transitions; those note the reason, and return None."""
        return {k: functools.partial(self._ask, k, f) for k, f in super().should_stop.items()}

    def _ask(self, key: str, ask: Callable[[Progress], Any], progress: Progress) -> Any:
        reason = ask(progress)
        if isinstance(reason, str):
            write_note(self.folder, f"{key}: would end the stage: {reason}")
            return None
        return reason

    def apply_one(
        self, key: str, transition: Callable[..., Any], result: StageResult
    ) -> StageResult:
        """Return a result passed through a transition; a reason to end the run is noted.

        So is the error of a transition that gave a reason to end the stage, as alarms do.
        """
        try:
            passed = super().apply_one(key, transition, result)
        except R1trlError as error:
            if not any(note.startswith(f"{key}: ") for note in read_notes(self.folder)):
                raise
            write_note(self.folder, str(error))
            return result
        if passed.stop:
            write_note(self.folder, f"{key}: would end the run: {passed.stop}")
        return replace(passed, stop=None)


def rehearse_stage(folder: Path) -> int:
    """Carry out a stage of a rehearsal; return the exit status."""
    transitions: Any = functools.partial(RehearsedTransitions, folder=folder)
    return run_stage(
        folder,
        functools.partial(
            run_stage_folder, work_class=RehearsedWork, transitions_class=transitions
        ),
    )
