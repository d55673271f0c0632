"""Columns of rows: how filters read them, and how they turn values into reasons to drop rows."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datasets import Dataset

CHUNK_ROWS = 10_000
SAID_BY = {"prompt": "user", "completion": "assistant"}  # the roles of these columns' messages
DropReasons = list[str | None]  # for each row why it is dropped, or None if it is kept


def values(rows: "Dataset", column: str) -> Iterator[Any]:
    """Return an iterator over a column's values; what is of messages as its text.

    Of rows with `messages` alone, `prompt` is what the user says and `completion` what the
    assistant does. Raises ValueError, with the columns that exist, if the rows lack the column.
    """
    source = column
    if column in SAID_BY and column not in rows.column_names and "messages" in rows.column_names:
        source = "messages"
    if source not in rows.column_names:
        available = ", ".join(rows.column_names) or "none"
        raise ValueError(f"the rows have no column '{column}'; there are: {available}")
    found = _in_chunks(rows.select_columns([source]), source)
    return (_as_text(value, column) for value in found) if column in SAID_BY else found


def _as_text(value: Any, column: str) -> Any:
    """Return messages as the text of the role whose column it is; a text as it is."""
    if not isinstance(value, list):
        return value
    return "\n\n".join(said(value, SAID_BY[column]))


def said(messages: list[dict[str, Any]], role: str) -> list[str]:
    """Return what a role says in messages, turn by turn; its reasoning is part of a turn."""
    turns = [message for message in messages if message["role"] == role]
    texts = [(turn.get("reasoning_content"), turn.get("content")) for turn in turns]
    return ["\n\n".join(str(text) for text in pair if text) for pair in texts]


def _in_chunks(rows: "Dataset", column: str) -> Iterator[Any]:
    """Yield a column's values; reading single rows would be a hundred times slower."""
    for start in range(0, len(rows), CHUNK_ROWS):
        yield from rows[start : start + CHUNK_ROWS][column]


def drop_reasons(rows: "Dataset", column: str, reason: Callable[[Any], str | None]) -> DropReasons:
    """Return `reason(value)` for every row's value in `column`."""
    return [reason(value) for value in values(rows, column)]


def questions(rows: "Dataset") -> Iterator[list[str]]:
    """Return an iterator over the rows' questions: column `question` if present, else `prompt`.

    A prompt may end with an instruction that all rows share, which would make them look alike. Of
    messages, in a prompt or alone, the questions are the user's turns.
    """
    columns = [name for name in ("question", "prompt", "messages") if name in rows.column_names]
    if not columns:
        values(rows, "prompt")  # says what is missing
    chunks = [_in_chunks(rows.select_columns([column]), column) for column in columns]
    return (_asked(next(filter(None, given), [])) for given in zip(*chunks, strict=True))


def _asked(value: str | list[dict[str, Any]]) -> list[str]:
    """Return the questions in a text or in messages."""
    return said(value, "user") if isinstance(value, list) else [str(value)]


def rows_by_prompt(rows: "Dataset") -> dict[str, list[int]]:
    """Return the indices of the rows of each prompt, both in the order of the rows."""
    groups: defaultdict[str, list[int]] = defaultdict(list)
    has_prompt = "prompt" in rows.column_names  # all of one, not only what the user says in it
    whole = rows.select_columns(["prompt"]) if has_prompt else rows
    prompts = _in_chunks(whole, "prompt") if has_prompt else values(rows, "prompt")
    for index, prompt in enumerate(prompts):
        groups[str(prompt)].append(index)
    return dict(groups)


def keep_only(kept: set[int], count: int, reason: str) -> DropReasons:
    """Return the drop reasons of `count` rows: None for the indices in `kept`, else `reason`."""
    return [None if index in kept else reason for index in range(count)]
