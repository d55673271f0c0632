"""Several candidates for one completion: drawn together, and one of them picked with the bill."""

import math
from collections.abc import Sequence
from dataclasses import replace

from r1trl import Completion


def copies(drafts: Sequence[Completion], count: int) -> list[Completion]:
    """Return each draft `count` times, one after the other, with nothing spent yet."""
    return [replace(draft, spent=0) for draft in drafts for _ in range(count)]


def groups(drafts: Sequence[Completion], count: int) -> list[list[Completion]]:
    """Return drafts in groups of `count`."""
    return [list(drafts[i : i + count]) for i in range(0, len(drafts), count)]


def picked(choice: Completion, before: Completion, spent: int) -> Completion:
    """Return a candidate that cost `spent` tokens, with the others, as what became of a draft."""
    return replace(choice, spent=before.spent + spent)


def worth(score: float | None) -> float:
    """Return a score to compare; what has none is worth least."""
    return -math.inf if score is None else score


def at_least_one(option: str, value: int) -> int:
    """Return a number; raise ValueError where it is under 1."""
    if value < 1:
        raise ValueError(f"{option} must be 1 or more, not {value}")
    return value
