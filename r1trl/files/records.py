"""The rows of a text file as Python values: JSON lines, JSON, CSV and TSV, compressed or not."""

import csv
import json
import lzma
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any

from r1trl.files.names import ROW_COLUMNS
from r1trl.files.paths import lines_of
from r1trl.formats import format_of
from r1trl.rewards.texts import gold_text

Record = dict[str, Any]
BROKEN = (OSError, ValueError, EOFError, RecursionError, lzma.LZMAError, csv.Error)


def records(file: Path) -> Iterator[Record]:
    """Yield the rows of a JSON or CSV file; raise one of `BROKEN`, with the line, if it cannot.

    JSON may be lines, a list of objects, or one object with a list of them; in it NaN is null. In
    CSV the first line has the names, and an empty cell is null.
    """
    yield from (_of_csv if format_of(file) == "csv" else _of_json)(file)


@contextmanager
def broken(file: Path) -> Iterator[None]:
    """Raise ValueError with the file if it cannot be read."""
    try:
        yield
    except BROKEN as error:
        raise ValueError(f"{file}: cannot be read: {error or type(error).__name__}") from error


def _of_json(file: Path) -> Iterator[Record]:
    lines = ((number, text) for number, text in lines_of(file) if text.strip())
    head = list(islice(lines, 2))
    if len(head) > 1 and _is_object(head[0][1]):
        for number, text in chain(head, lines):
            yield _object(_parsed([(number, text)]), number)
        return
    if len(head) > 1 and _is_whole(head[0][1]):
        _object(_parsed(head[:1]), head[0][0])
    if head:
        yield from _unwrapped(_parsed([*head, *lines]), head[0][0])


def _is_whole(text: str) -> bool:
    """Return True if a line is JSON by itself."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _is_object(text: str) -> bool:
    """Return True if a line looks like a whole object, and not like the begin of a longer text."""
    return text.lstrip().startswith("{") and text.rstrip().endswith("}")


def _parsed(lines: Sequence[tuple[int, str]]) -> Any:
    """Return the JSON value in numbered lines; raise ValueError with the line that is broken."""
    try:
        return json.loads("".join(text for _, text in lines), parse_constant=_constant)
    except json.JSONDecodeError as error:
        number = lines[min(error.lineno, len(lines)) - 1][0]
        raise ValueError(f"line {number} is no JSON: {error.msg} (column {error.colno})") from error
    except RecursionError as error:
        raise ValueError(f"line {lines[0][0]} is no JSON: {error}") from error


def _constant(name: str) -> float | None:
    """Return what NaN, Infinity and -Infinity stand for; pandas writes NaN for what is missing."""
    value = float(name)
    return None if math.isnan(value) else value


def _object(value: Any, number: int) -> Record:
    if isinstance(value, dict):
        return value
    kind = type(value).__name__
    raise ValueError(f"line {number} is a {kind}; each line must be an object, {{…}}")


def _unwrapped(value: Any, number: int) -> Iterator[Record]:
    """Yield the rows of the one JSON value of a file: a list, a row, or an object around a list."""
    if isinstance(value, list):
        for i, each in enumerate(value):
            if not isinstance(each, dict):
                kind = type(each).__name__
                raise ValueError(f"entry {i} of the list is a {kind}, and not an object, {{…}}")
            yield each
        return
    row = _object(value, number)
    lists = {name: each for name, each in row.items() if _is_rows(each)}
    if set(row) & ROW_COLUMNS and not _is_columns(row):
        yield row
    elif len(lists) == 1 or "data" in lists:
        yield from lists.get("data", next(iter(lists.values())))
    elif lists:
        raise ValueError(f"has several lists of rows ({', '.join(lists)}); make a file of each")
    elif _is_columns(row):
        names, columns = list(row), row.values()
        yield from (dict(zip(names, each, strict=True)) for each in zip(*columns, strict=True))
    else:
        yield row


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


def _is_columns(row: Record) -> bool:
    """Return True if an object holds columns: lists of equal length, and none of messages."""
    lists = [value for value in row.values() if isinstance(value, list) and not _is_rows(value)]
    return len(lists) == len(row) > 0 and len({len(each) for each in lists}) == 1


def _of_csv(file: Path) -> Iterator[Record]:
    csv.field_size_limit(sys.maxsize)  # completions may be longer than the module's 128 KiB
    lines = lines_of(file)
    header = next(lines, None)
    if header is None:
        return
    texts = chain([header[1]], (text for _, text in lines))
    reader = csv.reader(texts, delimiter=_delimiter(file, header[1]), strict=True)
    try:
        names = next(reader)
        if repeated := {name for name in names if name and names.count(name) > 1}:
            raise ValueError(f"line 1 has the column '{min(repeated)}' twice")
        for cells in reader:
            if cells and len(cells) != len(names):
                what = f"has {len(cells)} cells, and line 1 has {len(names)} names"
                raise ValueError(f"line {reader.line_num} {what}")
            pairs = zip(names, cells, strict=True) if cells else ()
            if row := {name: cell or None for name, cell in pairs if name}:
                yield row
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: {error}") from error


def _delimiter(file: Path, header: str) -> str:
    if ".tsv" in [suffix.lower() for suffix in file.suffixes]:
        return "\t"
    return ";" if ";" in header and "," not in header else ","


def typed(cells: Sequence[str | None]) -> list[Any]:
    """Return a CSV column as numbers or booleans if each cell is exactly how one is written.

    So 007, 1.50 and 1e5 stay the texts that they are.
    """
    conversions: tuple[Callable[[str], Any], ...] = (int, float, {"True": True, "False": False}.get)
    for convert in conversions:
        values = list(map(_converted, cells, [convert] * len(cells)))
        pairs = zip(values, cells, strict=True)
        if all(cell is None or gold_text(value) == cell for value, cell in pairs):
            return values
    return list(cells)


def _converted(cell: str | None, convert: Callable[[str], Any]) -> Any:
    try:
        return None if cell is None else convert(cell)
    except ValueError:
        return None
