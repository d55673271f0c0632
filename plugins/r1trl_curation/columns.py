"""Columns of rows: how filters read them, and how they turn values into reasons to drop rows."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datasets import Dataset

CHUNK_ROWS = 10_000
DropReasons = list[str | None]  # for each row why it is dropped, or None if it is kept


def values(rows: "Dataset", column: str) -> Iterator[Any]:
    """Return an iterator over a column's values.

    Raises ValueError, with the columns that exist, if the rows lack the column.
    """
    if column not in rows.column_names:
        available = ", ".join(rows.column_names) or "none"
        raise ValueError(f"the rows have no column '{column}'; there are: {available}")
    return _in_chunks(rows.select_columns([column]), column)


def _in_chunks(rows: "Dataset", column: str) -> Iterator[Any]:
    """Yield a column's values; reading single rows would be a hundred times slower."""
    for start in range(0, len(rows), CHUNK_ROWS):
        yield from rows[start : start + CHUNK_ROWS][column]


def drop_reasons(rows: "Dataset", column: str, reason: Callable[[Any], str | None]) -> DropReasons:
    """Return `reason(value)` for every row's value in `column`."""
    return [reason(value) for value in values(rows, column)]


def questions(rows: "Dataset") -> Iterator[str]:
    """Return an iterator over the rows' questions: column `question` if present, else `prompt`.

    A prompt may end with an instruction that all rows share, which would make them look alike. Of a
    prompt of messages the last one's content is the question.
    """
    column = "question" if "question" in rows.column_names else "prompt"
    return map(prompt_text, values(rows, column))


def prompt_text(prompt: Any) -> str:
    """Return a prompt as text: of messages the last one's content."""
    return prompt if isinstance(prompt, str) else str(prompt[-1]["content"])


def rows_by_prompt(rows: "Dataset") -> dict[str, list[int]]:
    """Return the indices of the rows of each prompt, both in the order of the rows."""
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for index, prompt in enumerate(values(rows, "prompt")):
        groups[str(prompt)].append(index)
    return dict(groups)


def keep_only(kept: set[int], count: int, reason: str) -> DropReasons:
    """Return the drop reasons of `count` rows: None for the indices in `kept`, else `reason`."""
    return [None if index in kept else reason for index in range(count)]
