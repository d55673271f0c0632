"""JSON-lines files: one object per line, appended while a stage runs."""

from collections.abc import Mapping, Sequence
from json import dumps, loads  # of our own, which no plugin replaces
from pathlib import Path
from typing import Any

from r1trl.storage.writing import append_text, write_text


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file; empty if there is none. A line cut off by a kill is no row."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")  # texts may hold other line separators
    return [loads(line) for line in lines[:-1] if line.endswith("}")]


def write_rows(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write rows to a file, whole or not at all."""
    write_text(path, _lines(rows))


def append_rows(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Append rows to a file."""
    append_text(path, _lines(rows))


def _lines(rows: Sequence[Mapping[str, Any]]) -> str:
    return "".join(dumps(row, ensure_ascii=False) + "\n" for row in rows)
