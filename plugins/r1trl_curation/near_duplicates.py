"""A filter for near duplicates: texts that share most of their n-grams of words.

Of each kept row the LSH index holds a MinHash signature, and this module the packed hashes of its
n-grams, which take a tenth of the memory of a set.
"""

from array import array
from collections.abc import Collection, Set
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import r1trl
from r1trl_curation.columns import DropReasons, questions, values
from r1trl_curation.words import split_words

if TYPE_CHECKING:
    from datasets import Dataset

PERMUTATIONS = 120
ROWS_PER_BAND = (12, 10, 8, 6, 5, 4, 3, 2, 1)
RECALL = 0.99
SEED = 1


def missing_requirements(**options: Any) -> str | None:
    """Return how to install the package rensa if it is missing."""
    return None if find_spec("rensa") else "not installed: rensa; pip install 'r1trl[curation]'"


@r1trl.describe(missing_requirements=missing_requirements, aliases={"run": "ngram_size"})
def deduplicate_near(
    rows: "Dataset", *, column: str | None = None, threshold: float = 0.8, ngram_size: int = 3
) -> DropReasons:
    """Keep the first of rows whose questions, or texts in `column`, are nearly the same.

    Two texts are near duplicates if the sets of their n-grams of `ngram_size` words have a Jaccard
    similarity of at least `threshold`. MinHash and locality-sensitive hashing (Broder 1997) find
    candidates, missing fewer than 1 in 100 pairs at the threshold; these are then compared exactly,
    so that no row is dropped by an estimate. Time grows with the rows, not with their pairs. Raises
    ValueError if `threshold` is not in (0, 1]. Needs the package rensa.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must be above 0 and at most 1, not {threshold:g}")
    from rensa import RMinHash, RMinHashLSH

    index = RMinHashLSH(threshold, PERMUTATIONS, band_count(threshold))
    kept: dict[int, array[int]] = {}
    reasons: DropReasons = []
    texts = map("\n".join, questions(rows)) if column is None else values(rows, column)
    for row, text in enumerate(texts):
        text_ngrams = ngrams(split_words(text), ngram_size)
        signature = RMinHash(PERMUTATIONS, SEED)
        signature.update(list(text_ngrams))  # the order makes no difference
        hashes = set(map(hash, text_ngrams))
        duplicate = any(jaccard(hashes, kept[r]) >= threshold for r in index.query(signature))
        reasons.append("nearly the same as an earlier row" if duplicate else None)
        if not duplicate:
            index.insert(row, signature)
            kept[row] = array("q", hashes)
    return reasons


def ngrams(words: list[str], size: int) -> set[str]:
    """Return the n-grams of `size` words, joined by spaces; a shorter text is one n-gram."""
    shifted = (words[i:] for i in range(size))
    return set(map(" ".join, zip(*shifted, strict=False))) or {" ".join(words)}


def jaccard(one: Set[int], other: Collection[int]) -> float:
    """Return the Jaccard similarity of two sets; `other` may be any collection without repeats."""
    shared = sum(map(one.__contains__, other))
    return shared / (len(one) + len(other) - shared)


def band_count(threshold: float) -> int:
    """Return the least number of bands that finds a pair at the threshold 99 times in 100."""
    for size in ROWS_PER_BAND:
        count = PERMUTATIONS // size
        if 1 - (1 - threshold**size) ** count >= RECALL:
            return count
    return PERMUTATIONS
