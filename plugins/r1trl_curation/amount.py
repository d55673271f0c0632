"""Filters by how many: exact duplicates, completions per prompt, rows per kind, rows."""

import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from r1trl_curation.columns import Verdicts, only, problems, values

if TYPE_CHECKING:
    from datasets import Dataset


def deduplicate(
    rows: "Dataset",
    *,
    columns: list[str] = ["prompt", "completion"],  # noqa: B006 - shown to users, never changed
) -> Verdicts:
    """Keep the first of the rows that are equal in `columns`, whatever their white space."""
    seen: set[bytes] = set()
    found: Verdicts = []
    for row in zip(*(values(rows, column) for column in columns), strict=True):
        key = digest(row)
        found.append("a duplicate" if key in seen else None)
        seen.add(key)
    return found


def digest(row: tuple[Any, ...]) -> bytes:
    """Return a digest of texts that does not change with their white space."""
    plain = "\0".join(" ".join(str(value).split()) for value in row)
    return hashlib.blake2b(plain.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def per_prompt(
    rows: "Dataset",
    *,
    count: int = 1,
    keep: Literal["first", "shortest", "longest", "best"] = "first",
    by: str = "reward",
) -> Verdicts:
    """Keep at most `count` rows of each prompt.

    Those that come first, the shortest or longest in characters, or the best: with the largest
    values in the column `by`. After `correct`, `keep: shortest` leaves the shortest right answer.
    """
    worth = _worth(rows, keep, by)
    kept = {
        index
        for group in problems(rows).values()
        for index in sorted(group, key=worth, reverse=True)[:count]
    }
    return only(kept, len(rows), f"not among the {keep} {count} of its prompt")


def _worth(rows: "Dataset", keep: str, by: str) -> Callable[[int], float]:
    """Return what a row is worth; sorting by it leaves equal ones in their order."""
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
    most: int | None = None,
    counts: dict[str, int] | None = None,
    seed: int = 0,
) -> Verdicts:
    """Keep, drawn at random, equally many rows of each value in the column `by`.

    As many as the rarest value has, or at most `most`, or as `counts` says for each value; a value
    that `counts` does not name stays whole. Raises ValueError on a value that no row has.
    """
    kinds = [str(value) for value in values(rows, by)]
    there = Counter(kinds)
    strangers = sorted(set(counts or {}) - set(there))
    if strangers and kinds:
        told = ", ".join(sorted(there))
        raise ValueError(f"counts names {strangers}, but column '{by}' has: {told}")
    limit = most if most is not None else min(there.values(), default=0)
    wanted = {kind: limit if counts is None else counts.get(kind, n) for kind, n in there.items()}
    places: defaultdict[str, list[int]] = defaultdict(list)
    for index, kind in enumerate(kinds):
        places[kind].append(index)
    source, kept = random.Random(seed), set[int]()
    for kind, group in sorted(places.items()):
        kept |= set(source.sample(group, min(wanted[kind], len(group))))
    return only(kept, len(kinds), f"more than wanted of its {by}")


def limit(rows: "Dataset", *, count: int) -> Verdicts:
    """Keep the first `count` rows."""
    return [None if index < count else f"after the first {count}" for index in range(len(rows))]
