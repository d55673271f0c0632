"""A sampler that takes prompts evenly from all rows."""

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasets import Dataset


def sample_indices(size: int, count: int, step: int, seed: int) -> list[int]:
    """Return `count` of `range(size)`, without replacement until all have been taken."""
    rng = random.Random(f"{seed} {step}")
    indices: list[int] = []
    while len(indices) < count:
        indices += rng.sample(range(size), min(size, count - len(indices)))
    return indices


class Uniform:
    """Sample prompts evenly from all rows, anew for every rollout.

    Within one rollout no row comes twice unless there are fewer rows than prompts are needed.
    Nothing is remembered between rollouts, so a row can come back before all others have been
    sampled; in return a resumed run samples the same prompts as one without a break.
    """

    def choose(self, rows: "Dataset", count: int, step: int, seed: int) -> list[int]:
        """Return `count` indices; raise ValueError if there are no rows."""
        if not len(rows):
            raise ValueError("there are no rows to draw prompts from")
        return sample_indices(len(rows), count, step, seed)
