"""JSON-lines files: one object per line, appended while a stage runs."""

from collections.abc import Mapping, Sequence
from json import dumps, loads  # of our own, which no plugin replaces
from pathlib import Path
from typing import Any

from r1trl.process.terminal import say
from r1trl.storage.writing import append_text, write_text


def read_rows(path: Path, *, numbers: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return the rows of a file; empty if there is none. A line cut off by a kill is no row.

    One that the disk has damaged, also in one of the `numbers` that each row has, is left out, and
    that is said.
    """
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8", errors="replace")
    lines = text.split("\n")  # texts may hold other line separators
    rows, damaged = [], []
    for number, line in enumerate(lines[:-1], 1):
        row = _row(line, numbers)
        rows += [row] if row is not None else []
        damaged += [str(number)] if row is None and line.endswith("}") else []
    if damaged:
        say(f"{path}: damaged lines are left out: {', '.join(damaged)}")
    return rows


def _row(line: str, numbers: Sequence[str]) -> dict[str, Any] | None:
    """Return the object of a line; None if it holds none, or not these numbers."""
    try:
        row = loads(line)
    except ValueError:
        return None
    if not isinstance(row, dict) or not all(isinstance(row.get(n), int | float) for n in numbers):
        return None
    return row


def write_rows(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write rows to a file, whole or not at all."""
    write_text(path, _lines(rows))


def append_rows(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Append rows to a file."""
    append_text(path, _lines(rows))


def _lines(rows: Sequence[Mapping[str, Any]]) -> str:
    return "".join(dumps(row, ensure_ascii=False) + "\n" for row in rows)
