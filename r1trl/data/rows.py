"""The rows of a stage: those of its sources, filtered, mixed and put together."""

import filecmp
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1trl.data.filters import apply_filters
from r1trl.data.sources import load_source
from r1trl.errors import StageError
from r1trl.plugins.loading import Plugins
from r1trl.stage.files import Work
from r1trl.stage.ranks import is_main, wait

if TYPE_CHECKING:
    from datasets import Dataset


def load_data(
    sources: Mapping[str, Mapping[str, Any]],
    filters: Mapping[str, Any],
    plugins: Plugins,
    seed: int,
    where: str,
) -> tuple["Dataset", dict[str, Any]]:
    """Load every source, put the rows together and filter them.

    The column `source` says which source a row is from; it replaces one of that name.
    Returns the rows and, for filters.json, how many went into and out of each filter. Raises
    StageError where a column is missing, a filter fails or no row is left.
    """
    from datasets import concatenate_datasets

    parts, counts = [], {}
    for name, source in sources.items():
        rows = load_source(source, plugins, seed, f"{where}.data.{name}")
        if "source" in rows.column_names:
            rows = rows.remove_columns("source")
        rows = rows.add_column("source", [name] * len(rows))
        rows, counts[name] = apply_filters(
            rows, source.get("filters") or {}, plugins, f"{where}.data.{name}.filters"
        )
        limit = source.get("limit")
        if limit is not None and limit < len(rows):
            rows = rows.shuffle(seed=seed).select(range(limit))
        parts.append(rows)
    parts = mix(parts, [source.get("weight") for source in sources.values()], seed)
    try:
        rows = concatenate_datasets(_aligned([_plain(part) for part in parts]))
    except ValueError as error:
        raise StageError(f"{where}.data: the sources do not fit together: {error}") from error
    rows, counts["all"] = apply_filters(rows, filters, plugins, f"{where}.filters")
    return rows, counts


def rows_of(work: Work, sources: Mapping[str, Any], folder: Path, plugins: Plugins) -> "Dataset":
    """Load a stage's rows on process 0, write data/, and read it in every process.

    Rows that are those of before keep their file, and with it what `datasets` has cached of them:
    a stage that goes on does not tokenise again.
    """
    from datasets import Dataset

    data = folder / "data"
    if is_main():
        where, filters = f"stages.{work.stage}", work.settings["filters"]
        rows, counts = load_data(sources, filters, plugins, work.seed, where)
        data.mkdir(parents=True, exist_ok=True)
        rows.to_parquet(data / "new.parquet")
        if same_files(data / "new.parquet", data / "rows.parquet"):
            (data / "new.parquet").unlink()
        else:
            shutil.rmtree(data / ".cache", ignore_errors=True)  # what stays is not read again
            (data / "new.parquet").replace(data / "rows.parquet")
        text = json.dumps(counts, indent=1) + "\n"
        (data / "filters.json").write_text(text, encoding="utf-8")
    wait()
    return Dataset.from_parquet(str(data / "rows.parquet"), cache_dir=str(data / ".cache"))


def same_files(one: Path, other: Path) -> bool:
    """Tell whether the other is there and says the same."""
    return other.exists() and filecmp.cmp(one, other, shallow=False)


def mix(parts: list["Dataset"], weights: Sequence[float | None], seed: int) -> list["Dataset"]:
    """Return of each part as many rows as make the largest mixture with these weights.

    No row comes twice. Where there are no weights, all rows are returned.
    """
    known = [weight for weight in weights if weight is not None]
    if not known:
        return parts
    size = min(len(part) / weight for part, weight in zip(parts, known, strict=True))
    counts = [max(1, int(size * weight + 1e-9)) for weight in known]
    return [
        part.shuffle(seed=seed).select(range(count)) if count < len(part) else part
        for part, count in zip(parts, counts, strict=True)
    ]


def _plain(rows: "Dataset") -> "Dataset":
    """Undo an indices mapping, so that rows are contiguous."""
    return rows.flatten_indices() if rows._indices is not None else rows


def _aligned(parts: list["Dataset"]) -> list["Dataset"]:
    """Give every part the same columns; a column that a part lacks is None there."""
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
