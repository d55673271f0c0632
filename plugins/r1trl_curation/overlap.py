"""Rows that overlap with a benchmark go: who trains on them measures memory.

Every window of `size` words holds a whole block of `size // 2` words that begins at a multiple of
that number. So only those few blocks of a row are looked up among all blocks of the benchmarks, and
only the windows that hold one that is found are compared: the verdicts are those of comparing all.
"""

from collections.abc import Mapping
from itertools import groupby
from typing import TYPE_CHECKING

from r1trl import Benchmarks
from r1trl_curation.columns import Verdicts, asked
from r1trl_curation.words import words

if TYPE_CHECKING:
    from datasets import Dataset


def decontaminate(
    rows: "Dataset",
    *,
    benchmarks: Benchmarks | None = None,
    size: int = 10,
) -> Verdicts:
    """Drop rows whose question shares `size` words in a row with one of a benchmark.

    DeepSeek-R1 drops texts with a matching 10-gram (arXiv 2501.12948v2, section D.1). A text of
    fewer words overlaps where it is the whole of a benchmark's. Questions are in the column
    `question`, else in `prompt`. The reason names the benchmark and the row in it, from 0. Raises
    ValueError where there are no benchmarks.
    """
    if not benchmarks:
        raise ValueError("there are no benchmarks to compare the rows with")
    if size < 2:
        raise ValueError(f"size must be 2 words or more, not {size}")
    known, found = Overlap(benchmarks, size), Verdicts()
    for text, same in groupby(asked(rows)):  # completions of one prompt follow one another
        found += [known.reason(text)] * sum(1 for _ in same)
    return found


class Overlap:
    """The questions of benchmarks, by their windows of `size` words."""

    def __init__(self, benchmarks: Mapping[str, "Dataset"], size: int) -> None:
        self.size, self.block = size, size // 2
        self.windows: dict[tuple[str, ...], tuple[str, int]] = {}
        self.blocks: set[str] = set()
        for name, rows in benchmarks.items():
            for index, question in enumerate(asked(rows)):
                self._add(words(question), (name, index))

    def _add(self, said: list[str], place: tuple[str, int]) -> None:
        """Take in a question; of equal windows the first question counts."""
        if len(said) < self.size:
            self.windows.setdefault(tuple(said), place)
        for i in range(len(said) - self.size + 1):
            self.windows.setdefault(tuple(said[i : i + self.size]), place)
        for i in range(len(said) - self.block + 1):
            self.blocks.add(" ".join(said[i : i + self.block]))

    def reason(self, text: str) -> str | None:
        """Say where a text overlaps with a benchmark, or None."""
        said, block, blocks = words(text), self.block, self.blocks
        if len(said) < self.size:
            place = self.windows.get(tuple(said))
            return place and f"is the whole of {place[0]}, row {place[1]}"
        for i in range(0, len(said) - block + 1, block):
            if " ".join(said[i : i + block]) in blocks:
                place = self._around(said, i)
                if place:
                    return f"shares {self.size} words with {place[0]}, row {place[1]}"
        return None

    def _around(self, said: list[str], block: int) -> tuple[str, int] | None:
        """Return where one of the windows that hold the block at an index is from, or None."""
        first = max(0, block + self.block - self.size)
        for i in range(first, min(block, len(said) - self.size) + 1):
            place = self.windows.get(tuple(said[i : i + self.size]))
            if place:
                return place
        return None
