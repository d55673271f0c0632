"""The rows of a stage: those of its sources, filtered, mixed and put together."""

import filecmp
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1trl.config.schema import SourceConfig
from r1trl.data.filters import OnEmpty, apply_filters
from r1trl.data.sources import load_source
from r1trl.errors import StageError
from r1trl.plugins.loading import Plugins
from r1trl.stage.ranks import barrier, is_main

if TYPE_CHECKING:
    from datasets import Dataset


def load_data(
    sources: Mapping[str, SourceConfig],
    filters: Mapping[str, Any],
    plugins: Plugins,
    seed: int,
    key: str,
    group: str = "data",
    on_empty: OnEmpty | None = None,
) -> tuple["Dataset", dict[str, Any]]:
    """Load every source, put the rows together and filter them.

    `key` is the stage's key, empty for the run; `group` is the key of the sources in it, for
    messages. The column `source` is the name of a row's source; it replaces one of
    that name. Returns the rows and, for filters.json, the counts into and out of each filter.
    Raises StageError if a column is missing, a filter fails or no row is left; what `on_empty` does
    instead of the last is said at `apply_filters`.
    """
    from datasets import concatenate_datasets

    parts, counts, at = [], {}, f"{key}.{group}".lstrip(".")
    for name, source in sources.items():
        rows = load_source(source, plugins, seed, f"{at}.{name}")
        if "source" in rows.column_names:
            rows = rows.remove_columns("source")
        rows = rows.add_column("source", [name] * len(rows))
        own = f"{at}.{name}.filters"
        rows, counts[name] = apply_filters(rows, source.filters, plugins, own, on_empty)
        if source.sample_rows is not None and source.sample_rows < len(rows):
            rows = rows.shuffle(seed=seed).select(range(source.sample_rows))
        parts.append(rows)
    parts = mix(parts, [source.weight for source in sources.values()], seed)
    try:
        rows = concatenate_datasets(_aligned([_contiguous(part) for part in parts]))
    except ValueError as error:
        raise StageError(f"{at}: the sources do not fit together: {error}") from error
    rows, counts["all"] = apply_filters(rows, filters, plugins, f"{key}.filters", on_empty)
    return rows, counts


def load_stage_rows(
    sources: Mapping[str, SourceConfig],
    filters: Mapping[str, Any],
    plugins: Plugins,
    seed: int,
    key: str,
    folder: Path,
    group: str = "data",
    on_empty: OnEmpty | None = None,
) -> "Dataset":
    """Load a stage's rows on rank 0, write them to `folder`, read it on all ranks: a collective.

    `key`, `group` and `on_empty` are those of `load_data`. Rows that are equal to those of an
    earlier attempt keep their file, and with it what `datasets` has cached of them: a stage that
    continues does not tokenise again.
    """
    from datasets import Dataset

    if is_main():
        rows, counts = load_data(sources, filters, plugins, seed, key, group, on_empty)
        folder.mkdir(parents=True, exist_ok=True)
        rows.to_parquet(folder / "new.parquet")
        if same_files(folder / "new.parquet", folder / "rows.parquet"):
            (folder / "new.parquet").unlink()
        else:
            shutil.rmtree(folder / ".cache", ignore_errors=True)  # of rows that are gone
            (folder / "new.parquet").replace(folder / "rows.parquet")
        text = json.dumps(counts, indent=1) + "\n"
        (folder / "filters.json").write_text(text, encoding="utf-8")
    barrier()
    return Dataset.from_parquet(str(folder / "rows.parquet"), cache_dir=str(folder / ".cache"))


def same_files(one: Path, other: Path) -> bool:
    """Return True if the other file exists and has the same content."""
    return other.exists() and filecmp.cmp(one, other, shallow=False)


def mix(parts: list["Dataset"], weights: Sequence[float | None], seed: int) -> list["Dataset"]:
    """Return rows of each part, as many as make the largest mixture with these weights.

    No row comes twice. Without weights, all rows are returned.
    """
    given = [weight for weight in weights if weight is not None]
    if not given:
        return parts
    size = min(len(part) / weight for part, weight in zip(parts, given, strict=True))
    counts = [max(1, int(size * weight + 1e-9)) for weight in given]
    return [
        part.shuffle(seed=seed).select(range(count)) if count < len(part) else part
        for part, count in zip(parts, counts, strict=True)
    ]


def _contiguous(rows: "Dataset") -> "Dataset":
    """Return rows without an indices mapping."""
    return rows.flatten_indices() if rows._indices is not None else rows


def _aligned(parts: list["Dataset"]) -> list["Dataset"]:
    """Return parts with the same columns; a column that a part lacks is None there."""
    features: dict[str, Any] = {}
    for part in parts:
        features |= {k: v for k, v in part.features.items() if k not in features}
    aligned = []
    for part in parts:
        for name in features:
            if name not in part.column_names:
                part = part.add_column(name, [None] * len(part), feature=features[name])
        aligned.append(part.select_columns(list(features)))
    return aligned
