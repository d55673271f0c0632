"""How long samples are, and what a limit of tokens does to them."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Lengths:
    """What `max_length` does to the rows.

    A row makes several samples if the chat template writes earlier turns differently. `truncated`
    and `dropped` count rows that a sample is cut of, or of which a sample has nothing left in the
    loss; `median`, `longest` are tokens of a sample before that; `tokens` and `loss_tokens` are
    those of all samples, after it.
    """

    max_length: int | None
    rows: int
    samples: int
    truncated: int
    dropped: int
    median: int
    longest: int
    tokens: int
    loss_tokens: int

    def __str__(self) -> str:
        """Return the counts in words."""
        made = (
            f"{self.rows} rows make {self.samples} samples" if self.split else f"{self.rows} rows"
        )
        if not self.truncated + self.dropped:
            return f"{made}, the longest of {self.longest} tokens; max_length cuts none"
        return (
            f"{made}; max_length={self.max_length} cuts {self.truncated} rows, and leaves nothing "
            f"in the loss of {self.dropped}, which are dropped; half of the samples have more than "
            f"{self.median} tokens, the longest has {self.longest}"
        )

    @property
    def split(self) -> bool:
        """Return True if rows make several samples."""
        return self.samples != self.rows

    @property
    def share(self) -> float:
        """Return the share of rows that are cut or dropped."""
        return (self.truncated + self.dropped) / self.rows

    @property
    def metrics(self) -> dict[str, float]:
        """Return the counts as metrics of the stage."""
        names = ("rows", "samples", "truncated", "dropped")
        return {f"rows/{name}" if name != "rows" else name: getattr(self, name) for name in names}


def count_lengths(
    lengths: Sequence[int],
    learned: Sequence[int],
    numbers: Sequence[int],
    rows: int,
    limit: int | None,
) -> Lengths:
    """Return what `limit` does to samples of `rows` rows.

    Of each sample: its tokens before the cut, those in the loss after it, its row's number.
    """
    cut = {n for n, length in zip(numbers, lengths, strict=True) if length > (limit or length)}
    gone = {n for n, left in zip(numbers, learned, strict=True) if not left}
    return Lengths(
        max_length=limit,
        rows=rows,
        samples=len(lengths),
        truncated=len(cut - gone),
        dropped=len(gone),
        median=int(statistics.median_high(lengths)),
        longest=max(lengths),
        tokens=sum(min(length, limit or length) for length in lengths),
        loss_tokens=sum(learned),
    )
