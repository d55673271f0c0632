"""Near duplicates: texts that share most of their runs of words.

Of a row that stays, the index keeps a sketch and this module the hashes of its runs, packed, which
are a tenth of what a set of them takes.
"""

from array import array
from collections.abc import Collection, Set
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from r1trl_curation.columns import Verdicts, asked, values
from r1trl_curation.words import words

if TYPE_CHECKING:
    from datasets import Dataset

PERMUTATIONS = 120
ROWS_OF_A_BAND = (12, 10, 8, 6, 5, 4, 3, 2, 1)
RECALL = 0.99
SEED = 1


def near_duplicates(
    rows: "Dataset", *, column: str | None = None, threshold: float = 0.8, run: int = 3
) -> Verdicts:
    """Keep the first of rows whose questions, or texts in `column`, are nearly the same.

    Two texts are where the sets of their runs of `run` words have a Jaccard similarity of at least
    `threshold`. Candidates come from MinHash and locality-sensitive hashing (Broder 1997), which
    miss fewer than 1 in 100 pairs at the threshold, and are then compared exactly: none is dropped
    for an estimate. The time grows with the rows, not with their pairs. Needs the package rensa.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must be above 0 and at most 1, not {threshold:g}")
    from rensa import RMinHash, RMinHashLSH

    index = RMinHashLSH(threshold, PERMUTATIONS, bands(threshold))
    kept: dict[int, array[int]] = {}
    found: Verdicts = []
    for place, text in enumerate(asked(rows) if column is None else values(rows, column)):
        runs = runs_of(words(text), run)
        sketch = RMinHash(PERMUTATIONS, SEED)
        sketch.update(list(runs))  # in any order: it makes no difference
        hashes = set(map(hash, runs))
        alike = any(jaccard(hashes, kept[other]) >= threshold for other in index.query(sketch))
        found.append("nearly the same as an earlier row" if alike else None)
        if not alike:
            index.insert(place, sketch)
            kept[place] = array("q", hashes)
    return found


def ready(**options: Any) -> str | None:
    """Say how to get the package that is missing."""
    return None if find_spec("rensa") else "not installed: rensa; pip install 'r1trl[curation]'"


near_duplicates.ready = ready  # type: ignore[attr-defined]


def runs_of(said: list[str], size: int) -> set[str]:
    """Return the runs of `size` words of a text; a shorter text is one run."""
    shifted = (said[i:] for i in range(size))
    return set(map(" ".join, zip(*shifted, strict=False))) or {" ".join(said)}


def jaccard(one: Set[int], other: Collection[int]) -> float:
    """Return how much they share of a set and another, in which no number comes twice."""
    shared = sum(map(one.__contains__, other))
    return shared / (len(one) + len(other) - shared)


def bands(threshold: float) -> int:
    """Return the fewest bands that find a pair at the threshold 99 times in 100."""
    for size in ROWS_OF_A_BAND:
        count = PERMUTATIONS // size
        if 1 - (1 - threshold**size) ** count >= RECALL:
            return count
    return PERMUTATIONS
