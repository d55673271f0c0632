"""A file of rows as columns of Python values: JSON lines of any values, or Parquet."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from r1trl.errors import ConfigError
from r1trl.files.paths import lines_of
from r1trl.process.texts import whole_texts

SUFFIXES = (".jsonl", ".parquet")


def read_columns(path: Path) -> dict[str, list[Any]]:
    """Return the columns of a .jsonl or .parquet file; a row that lacks a column has None there.

    The values of JSON lines stay what they are, also where a column has numbers and texts. Raises
    ConfigError if the file is not there, is of another format, cannot be read or has no rows.
    """
    suffix = path.suffix.lower()
    if not path.is_file():
        raise ConfigError([f"{path}: there is no such file"])
    if suffix not in SUFFIXES:
        raise ConfigError([f"{path}: is no file of rows; possible are {' and '.join(SUFFIXES)}"])
    try:
        columns = _of_json_lines(path) if suffix == ".jsonl" else _of_parquet(path)
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError([f"{path}: cannot be read: {error}"]) from error
    if not any(columns.values()):
        raise ConfigError([f"{path}: there are no rows in it"])
    return columns


def _of_parquet(path: Path) -> dict[str, list[Any]]:
    from datasets import Dataset
    from pyarrow import parquet

    columns: dict[str, list[Any]] = Dataset(parquet.read_table(path)).to_dict()  # with JSON as such
    return columns


def _of_json_lines(path: Path) -> dict[str, list[Any]]:
    """Return the columns of JSON lines, in the order in which they first occur."""
    rows = list(_objects(path))
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _objects(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the object of each line that is not empty; raise ValueError with a line's number."""
    for number, line in lines_of(path):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"line {number} is no JSON: {error}") from error
        if not isinstance(row, dict):
            kind = type(row).__name__
            raise ValueError(f"line {number} is a {kind}; each line must be an object, {{…}}")
        yield whole_texts(row)
