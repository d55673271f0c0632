"""One source of rows: a file, a Hub dataset or a plugin's, with its columns mapped."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1trl.errors import R1trlError, StageError, suggest
from r1trl.plugins.loading import Plugins

if TYPE_CHECKING:
    from datasets import Dataset

FORMATS = {".jsonl": "json", ".json": "json", ".parquet": "parquet", ".csv": "csv"}


def load_source(source: Mapping[str, Any], plugins: Plugins, seed: int, where: str) -> "Dataset":
    """Load the rows of one source and map their columns."""
    try:
        if source.get("dataset"):
            offer = plugins.find("dataset", source["dataset"])
            options = {**source.get("options", {})}
            if "seed" in offer.options:
                options.setdefault("seed", seed)
            rows = offer.bind(options)()
        else:
            rows = _read(source)
        rows = map_columns(rows, source.get("columns") or {})
    except (OSError, ValueError, R1trlError) as error:
        raise StageError(f"{where}: {error}") from error
    if not len(rows):
        raise StageError(f"{where}: there are no rows in it")
    return rows


def _read(source: Mapping[str, Any]) -> "Dataset":
    """Read a file or a Hub dataset; of a stream only so many rows as it says."""
    from datasets import Dataset, load_dataset

    path, count = str(source["path"]), source.get("stream")
    kind = FORMATS.get(Path(path).suffix)
    if kind and not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {path}")
    options: dict[str, Any] = {"split": source.get("split") or "train", "streaming": bool(count)}
    if kind:
        rows = load_dataset(kind, data_files=path, **{**options, "split": "train"})
    else:
        rows = load_dataset(path, source.get("name"), **options)
    if not count:
        return rows
    return Dataset.from_generator(rows.take(count).__iter__, features=rows.features)


def map_columns(rows: "Dataset", columns: Mapping[str, str]) -> "Dataset":
    """Keep the named columns under their new names; a value with `{{` is a Jinja template.

    Raises ValueError naming the missing column.
    """
    if not columns:
        return rows
    for new, old in columns.items():
        if "{{" not in old and old not in rows.column_names:
            there = ", ".join(rows.column_names)
            raise ValueError(
                f"columns.{new}: the rows have no column '{old}'"
                f"{suggest(old, rows.column_names)}; they have: {there}"
            )

    def mapped(row: dict[str, Any]) -> dict[str, Any]:
        return {new: fill(old, row) if "{{" in old else row[old] for new, old in columns.items()}

    return rows.map(mapped, remove_columns=rows.column_names)


def fill(template: str, row: Mapping[str, Any]) -> str:
    """Fill a Jinja template with a row's columns; `row` is the whole row.

    Raises ValueError where the template needs a column that is not there.
    """
    from jinja2 import TemplateError

    try:
        return str(_compiled(template).render(**row, row=row))
    except TemplateError as error:
        raise ValueError(f"template {template!r}: {error}; columns: {', '.join(row)}") from error


@functools.cache
def _compiled(template: str) -> Any:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    return ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, keep_trailing_newline=True
    ).from_string(template)
