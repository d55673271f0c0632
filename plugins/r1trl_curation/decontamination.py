"""A filter for rows that overlap with a benchmark: trained on, they turn it into a memory test.

Every n-gram of `ngram_size` words holds a whole block of `ngram_size // 2` words that begins at a
multiple of that number. So only these few blocks of a row are looked up among all blocks of the
benchmarks, and only n-grams around a block that is found are compared. The result is that of
comparing all n-grams.
"""

from collections.abc import Mapping
from itertools import groupby
from typing import TYPE_CHECKING

import r1trl
from r1trl import Benchmarks
from r1trl_curation.columns import DropReasons, questions
from r1trl_curation.words import split_words

if TYPE_CHECKING:
    from datasets import Dataset

Location = tuple[str, int]  # a benchmark and a row in it, from 0


@r1trl.describe(aliases={"size": "ngram_size"})
def decontaminate(
    rows: "Dataset",
    *,
    benchmarks: Benchmarks | None = None,
    ngram_size: int = 10,
) -> DropReasons:
    """Drop rows whose question shares an n-gram of `ngram_size` words with a benchmark's question.

    DeepSeek-R1 drops texts with a matching 10-gram (arXiv 2501.12948v2, section D.1). A text of
    fewer words overlaps if it equals a benchmark's question. Questions are in the column
    `question`, else in `prompt`, else what the user says in `messages`. The reason names the
    benchmark and the row in it, from 0. Raises ValueError if there are no benchmarks.
    """
    if not benchmarks:
        raise ValueError("there are no benchmarks to compare the rows with")
    if ngram_size < 2:
        raise ValueError(f"ngram_size must be 2 words or more, not {ngram_size}")
    index, reasons = BenchmarkIndex(benchmarks, ngram_size), DropReasons()
    for texts, repeats in groupby(questions(rows)):  # completions of one prompt are adjacent
        reason = next(filter(None, map(index.reason, texts)), None)
        reasons += [reason] * sum(1 for _ in repeats)
    return reasons


class BenchmarkIndex:
    """The questions of benchmarks, indexed by their n-grams and by blocks of half that size."""

    def __init__(self, benchmarks: Mapping[str, "Dataset"], ngram_size: int) -> None:
        self.ngram_size, self.block_size = ngram_size, ngram_size // 2
        self.ngrams: dict[tuple[str, ...], Location] = {}
        self.blocks: set[str] = set()
        for name, rows in benchmarks.items():
            for row, texts in enumerate(questions(rows)):
                for question in texts:
                    self._add(split_words(question), (name, row))

    def _add(self, words: list[str], location: Location) -> None:
        """Add a question; of equal n-grams the first question's location is kept."""
        if len(words) < self.ngram_size:
            self.ngrams.setdefault(tuple(words), location)
        for i in range(len(words) - self.ngram_size + 1):
            self.ngrams.setdefault(tuple(words[i : i + self.ngram_size]), location)
        for i in range(len(words) - self.block_size + 1):
            self.blocks.add(" ".join(words[i : i + self.block_size]))

    def reason(self, text: str) -> str | None:
        """Return where a text overlaps with a benchmark, as a reason to drop it, or None."""
        words, size, blocks = split_words(text), self.block_size, self.blocks
        if len(words) < self.ngram_size:
            location = self.ngrams.get(tuple(words))
            return location and f"is the whole of {location[0]}, row {location[1]}"
        for i in range(0, len(words) - size + 1, size):
            if " ".join(words[i : i + size]) in blocks:
                location = self._around(words, i)
                if location:
                    return f"shares {self.ngram_size} words with {location[0]}, row {location[1]}"
        return None

    def _around(self, words: list[str], block: int) -> Location | None:
        """Return the location of an n-gram that holds the block starting at `block`, or None."""
        first = max(0, block + self.block_size - self.ngram_size)
        for i in range(first, min(block, len(words) - self.ngram_size) + 1):
            location = self.ngrams.get(tuple(words[i : i + self.ngram_size]))
            if location:
                return location
        return None
