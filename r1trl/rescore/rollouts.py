"""What is scored again: the rows as they were saved, and their columns as rewards get them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from r1trl.storage.writing import new_file

if TYPE_CHECKING:
    from pyarrow import Table

Columns = dict[str, list[Any]]
ADDED = "rescored/"  # the names of what rescoring adds begin with it


class NoTokenIds(LookupError):  # noqa: N818 - a message names it
    """A reward wants token ids, and there are none."""


class MissingTokenIds(Sequence[int]):
    """The token ids of a completion that has none: a reward that reads them fails with a reason.

    Every reward in TRL's form is passed token ids, and only reading them shows that it wants them.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __len__(self) -> NoReturn:
        raise NoTokenIds(self.reason)

    def __getitem__(self, index: Any) -> NoReturn:
        raise NoTokenIds(self.reason)

    def __repr__(self) -> str:
        return "no token ids"


@dataclass(frozen=True)
class Rollouts:
    """Saved rows, and parts of them with the columns that rewards get.

    `saved` is the table of the rows' own columns, `parts` are pairs of row numbers and columns.
    `where` names the rows in messages, `notes` are for the user.
    """

    saved: "Table"
    parts: Sequence[tuple[Sequence[int], Columns]]
    where: str
    notes: Sequence[str]

    def before(self, name: str) -> list[Any] | None:
        """Return a saved column of numbers; None if there is none of that name."""
        values = self.saved[name].to_pylist() if name in self.saved.column_names else [""]
        numbers = all(value is None or isinstance(value, int | float) for value in values)
        return values if numbers else None


def read_table(path: Path) -> "Table":
    """Return a Parquet file without what an earlier rescoring has added."""
    from pyarrow import parquet

    table = parquet.read_table(path)
    return table.drop_columns([name for name in table.column_names if name.startswith(ADDED)])


def write_table(saved: "Table", new: Mapping[str, list[Any]], path: Path) -> None:
    """Write saved rows with new columns beside theirs: numbers, or texts named `outcome/…`."""
    import pyarrow as pa
    from pyarrow import parquet

    table = saved.replace_schema_metadata(None)  # of the libraries that wrote them: of old columns
    for name, values in new.items():
        type_ = pa.string() if name.startswith("outcome/") else pa.float64()
        table = table.append_column(f"{ADDED}{name}", pa.array(values, type_))
    with new_file(path) as part:  # `path` may be what was read
        parquet.write_table(table, part)


def as_table(columns: Columns) -> tuple["Table", list[str]]:
    """Return columns of any values as a table, and the names of those that are JSON texts in it.

    These hold what Parquet cannot: values of several types, or objects without keys.
    """
    import pyarrow as pa

    kept = {name: values for name, values in columns.items() if not name.startswith(ADDED)}
    arrays = {name: _array(values) for name, values in kept.items()}
    texts = [name for name, array in arrays.items() if array is None]
    arrays |= {name: pa.array(map(_json, kept[name]), pa.string()) for name in texts}
    return pa.table(arrays), texts


def _array(values: list[Any]) -> Any:
    """Return a column as Arrow and Parquet hold it; None if they cannot."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        array = pa.array(values)
        if pa.types.is_nested(array.type):
            parquet.write_table(pa.table({"column": array}), pa.MockOutputStream())
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        return None
    return array


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value)
