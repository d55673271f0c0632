"""Prompts from easy to hard."""

from typing import TYPE_CHECKING

from r1trl_sampling.uniform import draw

if TYPE_CHECKING:
    from datasets import Dataset


class Curriculum:
    """Draw from the easiest prompts first, and from ever more of them.

    Rows are ordered by the numbers in the column `by`, small ones easy. At step 0 the easiest
    share `begin` of them is drawn from, evenly; the share grows in a straight line and is all of
    them from step `steps` on.
    """

    def __init__(self, *, steps: int, by: str = "difficulty", begin: float = 0.2) -> None:
        if steps < 1 or not 0 < begin <= 1:
            raise ValueError("curriculum needs steps of at least 1 and begin above 0, at most 1")
        self.steps, self.by, self.begin = steps, by, begin
        self._rows: Dataset | None = None
        self._order: list[int] = []

    def choose(self, rows: "Dataset", count: int, step: int, seed: int) -> list[int]:
        """Choose `count` indices of rows that are easy enough for the step."""
        if self._rows is not rows:
            self._sort(rows)
        share = self.begin + (1 - self.begin) * min(1.0, step / self.steps)
        size = max(1, min(len(rows), max(count, round(share * len(rows)))))
        return [self._order[place] for place in draw(size, count, step, seed)]

    def _sort(self, rows: "Dataset") -> None:
        if self.by not in rows.column_names:
            there = ", ".join(rows.column_names) or "none"
            raise ValueError(f"the rows have no column '{self.by}'; there are: {there}")
        if not len(rows):
            raise ValueError("there are no rows to draw prompts from")
        levels = rows[self.by][:]
        if any(not isinstance(level, int | float) for level in levels):
            raise ValueError(f"the column '{self.by}' must hold a number for every row")
        self._order = sorted(range(len(levels)), key=levels.__getitem__)
        self._rows = rows
