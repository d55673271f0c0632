"""How an evaluation asks its questions: as they are, by variants, and again under other seeds."""

from dataclasses import dataclass
from typing import Any

from r1trl.config.schema import StageConfig
from r1trl.plugins.offer import offered_name
from r1trl.variants import REFERENCE

RESEEDED = "seed"  # the factor of the reference under other seeds: the noise of sampling
SEEDS_APART = 1_000_003  # far more than there are shards, each of which has the next seed


@dataclass(frozen=True)
class Cell:
    """All rows of a benchmark in one form, under one seed.

    `variant` is a key of the stage's `variants`, None: the rows as they are. `factor` is the name
    that the cells of one variant with several options share: that of its offer.
    """

    name: str
    factor: str
    variant: str | None = None
    seed_offset: int = 0


def cells_of(stage: StageConfig) -> list[Cell]:
    """Return the cells of a stage, the reference first; that one alone if it has no variants."""
    cells = [Cell(REFERENCE, REFERENCE)]
    for number in range(1, noise_seeds(stage) + 1):
        cells.append(Cell(f"{RESEEDED}_{number}", RESEEDED, None, number * SEEDS_APART))
    for name, options in stage.variants.items():
        if options is not None:
            cells.append(Cell(name, offered_name("variant", name, options), name))
    return cells


def noise_seeds(stage: Any) -> int:
    """Return how often a stage draws its reference again; only some kinds have that setting."""
    return int(getattr(stage, "noise_seeds", 0))
