"""What a stage draws completions with, a model that stays loaded, and where they are written."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1trl.config.kinds import EvaluatedModel, with_model
from r1trl.config.schema import StageConfig
from r1trl.files.tables import put_together
from r1trl.storage.writing import new_file

if TYPE_CHECKING:
    from datasets import Dataset

    from r1trl.generation.answers import RowGenerator


@dataclass
class KeptGenerator:
    """The generator that was asked for last, which has its model loaded; others are forgotten."""

    asked: tuple[StageConfig, str | None] | None = None
    generator: "RowGenerator | None" = None

    def get(
        self,
        stage: StageConfig,
        model: EvaluatedModel | None,
        correct: str | None,
        make: "Callable[[StageConfig, str | None], RowGenerator]",
    ) -> "RowGenerator":
        """Return the kept generator if it is of this stage, or this model of it, else a new one.

        `make` makes one of settings and the name of the reward of right answers.
        """
        stage = with_model(stage, model) if model else stage
        if self.generator is None or self.asked != (stage, correct):
            self.forget()  # its model is gone before another one is loaded
            self.asked, self.generator = (stage, correct), make(stage, correct)
        return self.generator

    def forget(self) -> None:
        """Let the model go."""
        self.asked = self.generator = None


def row_generator(stage: StageConfig, *own: Any) -> "RowGenerator":
    """Return what generates completions with a model of a stage; see `RowGenerator`."""
    from r1trl.generation.answers import RowGenerator

    return RowGenerator(stage, *own)


def write_rollouts(folder: Path, parts: "Sequence[Dataset | None]") -> None:
    """Write the parts that are there into one rollouts.parquet, whole or not at all."""
    present = [part for part in parts if part is not None]
    if present:
        with new_file(folder / "rollouts.parquet") as part:
            put_together(present).to_parquet(part)
