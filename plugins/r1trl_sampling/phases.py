"""A sampler whose sources join in at different optimizer steps."""

from array import array
from bisect import bisect_right
from typing import TYPE_CHECKING

import r1trl
from r1trl_sampling.uniform import sample_indices

if TYPE_CHECKING:
    from datasets import Dataset


def source_names(*, start_steps: dict[str, int], by: str = "source") -> list[str]:
    """Return the sources that `start_steps` names; none if its names are another column's."""
    return list(start_steps) if by == "source" else []


@r1trl.describe(aliases={"begin": "start_steps"}, source_names=source_names)
class Phases:
    """Sample prompts evenly from the rows of the sources that have started.

    `start_steps` maps a value of the column `by` to the optimizer step from which its rows are
    sampled; rows of all other sources are sampled from the start. DeepSeek-R1's last reinforcement
    learning used general data and its preference rewards in only the last 400 of 1,700 steps,
    because more of it led to reward hacking: `start_steps: {general: 1300}`.

    Within one rollout no row comes twice unless fewer rows have started than prompts are needed.
    Nothing is remembered between rollouts, so a resumed run samples the same prompts as one without
    a break.
    """

    def __init__(self, *, start_steps: dict[str, int], by: str = "source") -> None:
        self.start_steps, self.by = dict(start_steps), by
        self._rows: Dataset | None = None
        self._order = array("q")
        self._starts = array("q")

    def choose(self, rows: "Dataset", count: int, step: int, seed: int) -> list[int]:
        """Return `count` indices of rows whose source has started.

        Raises ValueError if none has, or if `start_steps` names a source that no row has.
        """
        if self._rows is not rows:
            self._sort(rows)
        started = bisect_right(self._starts, step)
        if not started:
            raise ValueError(
                f"no row of any '{self.by}' has begun at step {step}: {self.start_steps}"
            )
        return [self._order[i] for i in sample_indices(started, count, step, seed)]

    def _sort(self, rows: "Dataset") -> None:
        """Sort the rows by their start step, so that the started ones are a prefix."""
        starts = array("q", (self.start_steps.get(source, 0) for source in self._sources(rows)))
        self._order = array("q", sorted(range(len(starts)), key=starts.__getitem__))
        self._starts = array("q", sorted(starts))
        self._rows = rows

    def _sources(self, rows: "Dataset") -> list[str]:
        if self.by not in rows.column_names:
            available = ", ".join(rows.column_names) or "none"
            raise ValueError(f"the rows have no column '{self.by}'; there are: {available}")
        sources = list(rows[self.by][:])
        unknown = sorted(set(self.start_steps) - set(sources))
        if unknown:
            available = ", ".join(sorted({str(source) for source in sources}))
            raise ValueError(
                f"start_steps names {unknown}, but column '{self.by}' has: {available}"
            )
        return sources
