"""A sampler that goes from easy prompts to hard ones."""

from typing import TYPE_CHECKING

import r1trl
from r1trl_sampling.uniform import sample_indices

if TYPE_CHECKING:
    from datasets import Dataset


@r1trl.describe(aliases={"begin": "start_fraction"})
class Curriculum:
    """Sample from the easiest prompts first, and from ever more of them.

    Rows are ordered by the numbers in the column `by`, small ones easy. At step 0 prompts are
    sampled evenly from the easiest fraction `start_fraction` of the rows; the fraction grows
    linearly and is 1 from step `steps` on.
    """

    def __init__(self, *, steps: int, by: str = "difficulty", start_fraction: float = 0.2) -> None:
        if steps < 1 or not 0 < start_fraction <= 1:
            raise ValueError(
                "curriculum needs steps of at least 1 and start_fraction above 0, at most 1"
            )
        self.steps, self.by, self.start_fraction = steps, by, start_fraction
        self._rows: Dataset | None = None
        self._order: list[int] = []

    def choose(self, rows: "Dataset", count: int, step: int, seed: int) -> list[int]:
        """Return `count` indices of rows that are easy enough for the step.

        Raises ValueError if there are no rows, or if the column is missing or not of numbers.
        """
        if self._rows is not rows:
            self._sort(rows)
        progress = min(1.0, step / self.steps)
        fraction = self.start_fraction + (1 - self.start_fraction) * progress
        size = max(1, min(len(rows), max(count, round(fraction * len(rows)))))
        return [self._order[i] for i in sample_indices(size, count, step, seed)]

    def _sort(self, rows: "Dataset") -> None:
        if self.by not in rows.column_names:
            available = ", ".join(rows.column_names) or "none"
            raise ValueError(f"the rows have no column '{self.by}'; there are: {available}")
        if not len(rows):
            raise ValueError("there are no rows to draw prompts from")
        levels = rows[self.by][:]
        if any(not isinstance(level, int | float) for level in levels):
            raise ValueError(f"the column '{self.by}' must hold a number for every row")
        self._order = sorted(range(len(levels)), key=levels.__getitem__)
        self._rows = rows
