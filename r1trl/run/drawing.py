"""What a stage draws completions with: a model that stays loaded, and a form of the questions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1trl.config.kinds import EvaluatedModel, with_model
from r1trl.config.schema import StageConfig
from r1trl.errors import errors_named
from r1trl.files.tables import put_together
from r1trl.plan.choices import own_options
from r1trl.plugins.loading import Plugins
from r1trl.plugins.offer import offered_name
from r1trl.storage.writing import new_file
from r1trl.variants import Variation

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


def variation_of(
    stage: StageConfig, name: str | None, plugins: Plugins, key: str, seed: int
) -> Variation | None:
    """Return an entry of a stage's `variants` with its options filled in; None of None.

    `key` is the stage's. Raises StageError if the variant refuses its options.
    """
    if name is None:
        return None
    options, own = stage.variants[name], f"{key}.variants.{name}"
    offer = plugins.find("variant", offered_name("variant", name, options))
    with errors_named(own):
        return Variation(offer.bind(own_options(options, "variant")), seed, own)


def write_rollouts(folder: Path, parts: "Sequence[Dataset | None]") -> None:
    """Write the parts that are there into one rollouts.parquet, whole or not at all."""
    present = [part for part in parts if part is not None]
    if present:
        with new_file(folder / "rollouts.parquet") as part:
            put_together(present).to_parquet(part)
