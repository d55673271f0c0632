"""JSON-lines files: one object per line, appended while a stage runs."""

import os
from collections.abc import Mapping, Sequence
from json import dumps, loads  # of our own, which no plugin replaces
from pathlib import Path
from typing import Any

from r1trl.process.terminal import say
from r1trl.storage.writing import append_text, write_text

TAIL = 1 << 20  # bytes of a file that are read when it is first looked at


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


class NewRows:
    """The rows that are appended to a file, from one look to the next.

    The first look passes over what lies before the last `tail` bytes; a file that is written anew
    is read as one that has not been seen.
    """

    def __init__(self, path: Path, tail: int = TAIL) -> None:
        self.path, self.tail = path, tail
        self._file, self._read = 0, 0  # its number, and how many bytes of it have been read

    def look(self) -> list[dict[str, Any]]:
        """Return the rows since the last look; a line that is not whole yet comes with the next."""
        if not self.path.exists():
            return []
        with self.path.open("rb") as stream:
            status = os.fstat(stream.fileno())
            if (status.st_ino, True) != (self._file, status.st_size >= self._read):
                self._file, self._read = status.st_ino, max(0, status.st_size - self.tail)
            stream.seek(self._read)
            new = stream.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        lines = whole.decode("utf-8", "replace").split("\n")
        return [row for line in lines if (row := _row(line, ())) is not None]


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
