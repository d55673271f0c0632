"""Columns of rows: reading one, and giving every row a verdict by its value in it."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datasets import Dataset

AT_ONCE = 10_000
Verdicts = list[str | None]


def values(rows: "Dataset", column: str) -> Iterator[Any]:
    """Return a column's values; raise ValueError with the columns there are where it is missing."""
    if column not in rows.column_names:
        there = ", ".join(rows.column_names) or "none"
        raise ValueError(f"the rows have no column '{column}'; there are: {there}")
    return _in_parts(rows.select_columns([column]), column)


def _in_parts(rows: "Dataset", column: str) -> Iterator[Any]:
    """Yield a column's values; one at a time, rows are read a hundred times slower."""
    for start in range(0, len(rows), AT_ONCE):
        yield from rows[start : start + AT_ONCE][column]


def verdicts(rows: "Dataset", column: str, reason: Callable[[Any], str | None]) -> Verdicts:
    """Give every row the verdict on its value in `column`: None, or why it goes."""
    return [reason(value) for value in values(rows, column)]


def asked(rows: "Dataset") -> Iterator[str]:
    """Return what each row asks: its `question`, else its `prompt`; of messages the last one's.

    A prompt may end with an instruction that is common to all, which would make all alike.
    """
    column = "question" if "question" in rows.column_names else "prompt"
    return map(plain, values(rows, column))


def plain(prompt: Any) -> str:
    """Return a prompt as text; of messages the last one's."""
    return prompt if isinstance(prompt, str) else str(prompt[-1]["content"])


def problems(rows: "Dataset") -> dict[str, list[int]]:
    """Return the rows of each problem: those with the same prompt."""
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for index, prompt in enumerate(values(rows, "prompt")):
        groups[str(prompt)].append(index)
    return dict(groups)


def only(kept: set[int], count: int, reason: str) -> Verdicts:
    """Return the verdicts that keep some of `count` rows and drop all others for one reason."""
    return [None if index in kept else reason for index in range(count)]
