"""Columns of Python values as datasets that keep them, and rows of several types put together.

Arrow has one type for a column. Values that it would change or refuse are kept as JSON, but for
numbers beside texts, such as golds of two benchmarks: these become texts, by one spelling.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from r1trl.process.texts import whole_texts
from r1trl.rewards.texts import gold_text

if TYPE_CHECKING:
    from datasets import Dataset

CHUNK = 10_000  # rows that are Python values at a time
OWN = "row/"  # before the name of a row's own column that has the name of one of r1trl's
# Of the message that a text becomes beside messages, in columns that may have either.
ROLES = {"prompt": "user", **dict.fromkeys(("completion", "chosen", "rejected"), "assistant")}


def dataset_of(
    columns: Mapping[str, Sequence[Any]], features: Mapping[str, Any] | None = None
) -> "Dataset":
    """Return columns as a dataset; without `features` of the types that keep their values.

    Half of a character becomes U+FFFD in texts, as `texts.whole` does.
    """
    from datasets import Dataset, Features

    given = features or {}
    try:
        types = {n: given[n] if n in given else feature_of(v, n) for n, v in columns.items()}
        encoded = {name: _as(types[name], values, name) for name, values in columns.items()}
        return Dataset.from_dict(encoded, features=Features(types))
    except UnicodeEncodeError:  # there is no half of a character in nearly all rows
        return dataset_of({n: whole_texts(list(v)) for n, v in columns.items()}, features)


def dataset_of_rows(rows: Iterable[Mapping[str, Any]]) -> "Dataset":
    """Return rows as a dataset; a column that a row lacks is None there."""
    rows, parts = iter(rows), list["Dataset"]()
    while chunk := list(islice(rows, CHUNK)):
        names = dict.fromkeys(name for row in chunk for name in row)
        parts.append(dataset_of({name: [row.get(name) for row in chunk] for name in names}))
    return put_together(parts) if parts else dataset_of({})


def feature_of(values: Sequence[Any], name: str = "") -> Any:
    """Return the type of a column that keeps its values; see `common` for mixed ones.

    Raises UnicodeEncodeError if a text has half of a character.
    """
    import pyarrow as pa
    from datasets.features.features import generate_from_arrow_type

    try:
        array = pa.array(values)
        nested = pa.types.is_nested(array.type)
        if not nested or (array.to_pylist() == values and not _has_empty_object(array.type)):
            return generate_from_arrow_type(array.type)
    except UnicodeEncodeError:
        raise
    except (pa.ArrowException, OverflowError, TypeError):
        pass  # of several types, or too large: `common` says what becomes of them
    return common(name, [_rough(value) for value in values if value is not None])


def _has_empty_object(type_: Any) -> bool:
    """Return True if a type has an object without keys, which Parquet cannot hold."""
    import pyarrow as pa

    if pa.types.is_list(type_):
        return _has_empty_object(type_.value_type)
    inner = [field.type for field in type_] if pa.types.is_struct(type_) else []
    return pa.types.is_struct(type_) and (not inner or any(map(_has_empty_object, inner)))


def _rough(value: Any) -> Any:
    """Return the type of a value by itself, as far as `common` looks at it."""
    from datasets import Json, List, Value

    if isinstance(value, list):
        if all(isinstance(each, dict) for each in value):
            return List(Json()) if value else List(Value("null"))
        plain = all(isinstance(each, str | int | float | bool | None) for each in value)
        return List(Value("string")) if plain else Json()
    return Json() if isinstance(value, dict) else Value("string")


def common(name: str, features: Sequence[Any]) -> Any:
    """Return the type in which a column of these types keeps its values.

    Numbers beside texts become texts, one value beside lists a list; in a column of `ROLES` a text
    becomes a message beside messages. Whatever else differs is JSON.
    """
    from datasets import Json, List, Value

    known = [feature for feature in features if _kind(feature) != "nothing"]
    if not known:
        return next((each for each in features if each != Value("null")), Value("null"))
    features = known
    if all(feature == features[0] for feature in features):
        return features[0]
    kinds = {_kind(feature) for feature in features}
    if kinds == {"number"}:
        floats = any(feature.dtype.startswith("float") for feature in features)
        return Value("float64" if floats else "int64")
    if kinds <= {"number", "text", "value"}:
        return Value("string")
    if kinds <= {"number", "text", "value", "list"}:
        return List(common("", [getattr(feature, "feature", feature) for feature in features]))
    if kinds == {"messages"} or (name in ROLES and kinds <= {"messages", "text"}):
        return List(Json())
    return Json()


def _kind(feature: Any) -> str:
    """Return nothing, number, text, value (another single one), list (of those), messages, json."""
    from datasets import LargeList, List, Value

    if isinstance(feature, Value):
        if feature.dtype == "null":
            return "nothing"
        if feature.dtype in ("string", "large_string"):
            return "text"
        return "number" if feature.dtype.startswith(("int", "uint", "float")) else "value"
    if isinstance(feature, List | LargeList):
        inner = _kind(feature.feature)
        return {"nothing": "nothing", "list": "json", "messages": "json", "json": "messages"}.get(
            inner, "list"
        )
    return "json"


def put_together(parts: Sequence["Dataset"]) -> "Dataset":
    """Return the rows of all parts; a column that a part lacks is None there."""
    from datasets import concatenate_datasets

    names = dict.fromkeys(name for part in parts for name in part.column_names)
    types = {n: common(n, [p.features[n] for p in parts if n in p.features]) for n in names}
    return concatenate_datasets([_of_types(part, types) for part in parts])


def _of_types(rows: "Dataset", types: Mapping[str, Any]) -> "Dataset":
    """Return rows with columns of the given types, in their order."""
    rows = rows.flatten_indices() if rows._indices is not None else rows
    for name, feature in types.items():
        if name not in rows.column_names or rows.features[name] != feature:
            values = rows[name][:] if name in rows.column_names else [None] * len(rows)
            rows = with_column(rows, name, values, feature)
    return rows.select_columns(list(types))


def with_column(rows: "Dataset", name: str, values: Sequence[Any], feature: Any = None) -> Any:
    """Return rows with a column of these values, in place of one of that name.

    `feature` is its type; None: one that keeps the values. (`Dataset.add_column` cannot do JSON.)
    """
    from datasets import concatenate_datasets

    if name in rows.column_names:
        rows = rows.remove_columns(name)
    new = dataset_of({name: values}, {name: feature} if feature is not None else None)
    return concatenate_datasets([rows, new], axis=1) if rows.column_names else new


def aside(name: str, taken: Collection[str]) -> str:
    """Return what a row's own column is called beside the columns `taken` of its rollouts."""
    return OWN + name if name in taken or name.removeprefix(OWN) in taken else name


def with_names_aside(rows: "Dataset", new: Mapping[str, Sequence[Any]]) -> "Dataset":
    """Return rows with new columns; those of the rows' own step aside, as `aside` says."""
    own = {name: aside(name, new) for name in rows.column_names}
    rows = rows.rename_columns({old: name for old, name in own.items() if old != name})
    for name, values in new.items():
        rows = rows.add_column(name, values)
    return rows


def _as(feature: Any, values: Sequence[Any], name: str) -> Sequence[Any]:
    """Return values in the form in which `datasets` takes a column of a type."""
    from datasets import Json, LargeList, List, Value

    if isinstance(feature, Json):
        return [None if value is None else json.dumps(value) for value in values]
    inner = feature.feature if isinstance(feature, List | LargeList) else None
    if isinstance(inner, Json):
        lists = [[{"role": ROLES[name], "content": v}] if isinstance(v, str) else v for v in values]
        return [None if each is None else [json.dumps(one) for one in each] for each in lists]
    if isinstance(feature, Value) and feature.dtype == "string":
        return [value if isinstance(value, str) else gold_text(value) for value in values]
    if isinstance(inner, Value):
        lists = [v if isinstance(v, list) or v is None else [v] for v in values]
        return [None if v is None else _as(inner, v, "") for v in lists]
    return values
