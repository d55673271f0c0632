"""Seconds in words, and which columns of metrics.jsonl hold times.

All others are equal however often a stage stopped.
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import TypeVar

T = TypeVar("T")
# Patterns of names. They are of metrics in result.json too.
TIMES = (
    *("seconds", "seconds/*", "eval/seconds", "eval/share"),
    *("step_time", "train_runtime", "train_*_per_second", "*_mem_*"),
)


def without_times(row: Mapping[str, T]) -> dict[str, T]:
    """Return a row of metrics without the columns that hold times, or memory."""
    return {
        name: value
        for name, value in row.items()
        if not any(fnmatchcase(name, pattern) for pattern in TIMES)
    }


def duration(seconds: float) -> str:
    """Return a number of seconds in words."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
