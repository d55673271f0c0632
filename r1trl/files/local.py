"""The rows of local files as a dataset, and the names of their columns without reading all."""

import functools
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1trl.files.paths import files_at
from r1trl.files.records import broken, records, typed
from r1trl.files.tables import dataset_of_rows, put_together, with_column
from r1trl.formats import format_of, is_file

if TYPE_CHECKING:
    from datasets import Dataset

HEAD = 1000  # rows that are read for the names of columns


def local_rows(path: str, name: str | None, split: str | None, count: int | None) -> "Dataset":
    """Return the rows of the files that a path names; with `count` the first so many.

    `name` and `split` choose among the files of a folder. Raises OSError or ValueError, which name
    the file, if there is none or one cannot be read.
    """
    parts, left = list["Dataset"](), count
    for file in files_at(path, name, None if is_file(path) else split):
        parts.append(_rows_of(file, left))
        left = None if left is None else left - len(parts[-1])
        if left == 0:
            break
    return put_together(parts)


def _rows_of(file: Path, count: int | None) -> "Dataset":
    """Return the rows of a file, or the first `count`."""
    from datasets import Dataset, load_dataset

    kind = format_of(file)
    with broken(file):
        if kind == "json":
            return dataset_of_rows(islice(records(file), count))
        if kind == "csv":
            return _with_numbers(dataset_of_rows(islice(records(file), count)))
        if kind == "parquet" and count is None:  # on disk, not in memory, however large it is
            return load_dataset("parquet", data_files=_literal(file), split="train")
        return Dataset(_table(file, count))


def _literal(file: Path) -> str:
    """Return a file's name as `datasets` takes it, which reads some characters as patterns."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in str(file.resolve()))


def _with_numbers(rows: "Dataset") -> "Dataset":
    """Return rows of CSV with numbers and booleans in columns of nothing else."""
    for name in rows.column_names:
        rows = with_column(rows, name, typed(rows[name][:]))
    return rows


def _table(file: Path, count: int | None) -> Any:
    """Return the first rows of an Arrow or Parquet file, or all of them, as a table."""
    import pyarrow as pa
    from pyarrow import parquet

    if format_of(file) == "parquet":
        source = parquet.ParquetFile(file)
        schema, batches = source.schema_arrow, source.iter_batches()
    else:
        stream = _arrow(file)
        schema, batches = stream.schema, _batches(stream)
    taken, left = [], count
    for batch in batches:
        taken.append(batch if left is None else batch.slice(0, left))
        left = None if left is None else left - len(taken[-1])
        if left == 0:
            break
    return pa.Table.from_batches(taken, schema)


def _arrow(file: Path) -> Any:
    """Return a reader of an Arrow file, which is of the form of files or of streams."""
    import pyarrow as pa

    try:
        return pa.ipc.open_file(pa.memory_map(str(file)))
    except pa.ArrowInvalid:
        return pa.ipc.open_stream(pa.memory_map(str(file)))


def _batches(reader: Any) -> Iterator[Any]:
    if hasattr(reader, "num_record_batches"):
        return (reader.get_batch(i) for i in range(reader.num_record_batches))
    return iter(reader)


def head_columns(path: str, name: str | None, split: str | None) -> Sequence[str]:
    """Return the names of the columns of local files, by the first rows of each.

    Raises OSError or ValueError as `local_rows` does, and ValueError if there are no rows.
    """
    names = dict[str, None]()
    for file in files_at(path, name, None if is_file(path) else split):
        status = file.stat()
        names |= dict.fromkeys(_names_in(file, status.st_mtime_ns, status.st_size))
    if not names:
        raise ValueError(f"{path}: there are no rows in it")
    return list(names)


@functools.lru_cache(maxsize=1000)
def _names_in(file: Path, modified: int, size: int) -> Sequence[str]:
    """Return the names of the columns of a file as it is now; a plan asks for each stage."""
    from pyarrow import parquet

    with broken(file):
        if format_of(file) == "parquet":
            return tuple(parquet.read_schema(file).names)
        if format_of(file) == "arrow":
            return tuple(_arrow(file).schema.names)
        return tuple(dict.fromkeys(n for row in islice(records(file), HEAD) for n in row))
