"""Filters by number: exact duplicates, completions per prompt, rows per value, rows in all."""

import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from r1trl_curation.columns import DropReasons, keep_only, rows_by_prompt, values

if TYPE_CHECKING:
    from datasets import Dataset


def deduplicate(
    rows: "Dataset",
    *,
    columns: list[str] = ["prompt", "completion"],  # noqa: B006 - shown to users, never changed
) -> DropReasons:
    """Keep the first of the rows that are equal in `columns` except for white space."""
    seen: set[bytes] = set()
    reasons: DropReasons = []
    for row in zip(*(values(rows, column) for column in columns), strict=True):
        key = digest(row)
        reasons.append("a duplicate" if key in seen else None)
        seen.add(key)
    return reasons


def digest(row: tuple[Any, ...]) -> bytes:
    """Return a digest of a row's texts that ignores differences in white space; 16 bytes."""
    normalized = "\0".join(" ".join(str(value).split()) for value in row)
    return hashlib.blake2b(normalized.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def per_prompt(
    rows: "Dataset",
    *,
    count: int = 1,
    keep: Literal["first", "shortest", "longest", "best"] = "first",
    by: str = "reward",
) -> DropReasons:
    """Keep at most `count` rows of each prompt.

    These are the first ones, the shortest or longest in characters, or the best: those with the
    largest values in the column `by`. After `correct`, `keep: shortest` leaves the shortest right
    answer.
    """
    sort_key = _sort_key(rows, keep, by)
    kept = {
        index
        for group in rows_by_prompt(rows).values()
        for index in sorted(group, key=sort_key, reverse=True)[:count]
    }
    return keep_only(kept, len(rows), f"not among the {keep} {count} of its prompt")


def _sort_key(rows: "Dataset", keep: str, by: str) -> Callable[[int], float]:
    """Return the key of a row index, larger for rows to keep; equal keys keep the rows' order."""
    if keep == "first":
        return lambda index: 0.0
    if keep == "best":
        scores = [float("-inf") if value is None else value for value in values(rows, by)]
        return scores.__getitem__
    sign = 1 if keep == "longest" else -1
    lengths = [sign * len(text) for text in values(rows, "completion")]
    return lengths.__getitem__


def balance(
    rows: "Dataset",
    *,
    by: str = "domain",
    max_rows: int | None = None,
    counts: dict[str, int] | None = None,
    seed: int = 0,
) -> DropReasons:
    """Keep equally many rows, chosen at random, of each value in the column `by`.

    That is as many as the rarest value has, or at most `max_rows` of each value, or as many as
    `counts` gives for a value; a value missing from `counts` is kept whole. Raises ValueError if
    `counts` has a value that no row has.
    """
    row_values = [str(value) for value in values(rows, by)]
    available = Counter(row_values)
    unknown = sorted(set(counts or {}) - set(available))
    if unknown and row_values:
        raise ValueError(
            f"counts names {unknown}, but column '{by}' has: {', '.join(sorted(available))}"
        )
    limit = max_rows if max_rows is not None else min(available.values(), default=0)
    quotas = {v: limit if counts is None else counts.get(v, n) for v, n in available.items()}
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for index, value in enumerate(row_values):
        groups[value].append(index)
    rng, kept = random.Random(seed), set[int]()
    for value, group in sorted(groups.items()):
        kept |= set(rng.sample(group, min(quotas[value], len(group))))
    return keep_only(kept, len(row_values), f"more than wanted of its {by}")


def head(rows: "Dataset", *, count: int) -> DropReasons:
    """Keep the first `count` rows."""
    return [None if index < count else f"after the first {count}" for index in range(len(rows))]
