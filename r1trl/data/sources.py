"""One source of rows: a file, a Hub dataset or a plugin's, with its columns mapped."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1trl.config.schema import SourceConfig
from r1trl.errors import R1trlError, StageError, suggest
from r1trl.plugins.loading import Plugins

if TYPE_CHECKING:
    from datasets import Dataset

FORMATS = {".jsonl": "json", ".json": "json", ".parquet": "parquet", ".csv": "csv"}


def load_source(source: SourceConfig, plugins: Plugins, seed: int, key: str) -> "Dataset":
    """Return the rows of one source with their columns mapped; `key` is the source's key.

    A plugin's dataset with an option `seed` gets `seed`. Raises StageError if it cannot be loaded
    or has no rows.
    """
    try:
        if source.dataset:
            offer = plugins.find("dataset", source.dataset)
            options = dict(source.options)
            if "seed" in offer.options:
                options.setdefault("seed", seed)
            try:
                made = offer.bind(options)()
            except Exception as error:
                failed = f"dataset '{source.dataset}': {type(error).__name__}: {error}"
                raise StageError(failed) from error
            rows = made_rows(made, source.dataset)
            if source.take is not None:
                rows = rows.select(range(min(source.take, len(rows))))
        else:
            rows = _load_rows(source)
        rows = map_columns(rows, source.columns)
    except (OSError, ValueError, R1trlError) as error:
        raise StageError(f"{key}: {error}") from error
    if not len(rows):
        raise StageError(f"{key}: there are no rows in it")
    return rows


def made_rows(rows: Any, name: str) -> "Dataset":
    """Return what a plugin's dataset has returned; raise StageError unless it is a Dataset."""
    from datasets import Dataset

    if not isinstance(rows, Dataset):
        kind = "None" if rows is None else f"a {type(rows).__name__}"
        form = "it returns a datasets.Dataset, such as Dataset.from_list([{…}, …])"
        raise StageError(f"dataset '{name}' returned {kind}; {form}")
    return rows


def _load_rows(source: SourceConfig) -> "Dataset":
    """Return the rows of a file or a Hub dataset; with `take`, streamed, the first so many."""
    from datasets import Dataset, load_dataset

    path, count = str(source.path), source.take
    format_ = FORMATS.get(Path(path).suffix)
    if format_ and not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {path}")
    options: dict[str, Any] = {"split": source.split or "train", "streaming": bool(count)}
    if format_:
        rows = load_dataset(format_, data_files=path, **{**options, "split": "train"})
    else:
        rows = load_dataset(path, source.name, **options)
    if not count:
        return rows
    return Dataset.from_generator(rows.take(count).__iter__, features=rows.features)


def map_columns(rows: "Dataset", columns: Mapping[str, str]) -> "Dataset":
    """Return rows with the named columns under their new names; `{{` makes a Jinja template.

    `columns` maps new names to old ones or templates; empty: rows are unchanged. Raises ValueError
    if a column is missing.
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
    """Return a Jinja template filled with a row's columns; in it `row` is the whole row.

    Raises ValueError if the template fails, or names a column that the row lacks.
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
