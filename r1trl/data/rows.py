"""The rows of a stage: those of its sources, filtered, mixed and put together."""

import filecmp
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1trl.config.schema import SourceConfig
from r1trl.data.filters import OnEmpty, apply_filters
from r1trl.data.sources import Say, load_source, names_of, with_variants_drawn
from r1trl.errors import StageError
from r1trl.files.names import CHAT
from r1trl.files.once import made_once
from r1trl.files.tables import CHUNK, OWN, put_together, with_column
from r1trl.plugins.loading import Plugins
from r1trl.process.terminal import say
from r1trl.storage.writing import new_file, remove, rename, write_text

if TYPE_CHECKING:
    from datasets import Dataset

MAX_NULL = 0.1  # share of a source's rows that may lack what is needed, and are left out
SOURCE_OF_ROW = f"{OWN}source"  # what a row's own column `source` is called


def load_data(
    sources: Mapping[str, SourceConfig],
    filters: Mapping[str, Any],
    plugins: Plugins,
    seed: int,
    key: str,
    group: str = "data",
    on_empty: OnEmpty | None = None,
    needed: Sequence[str] = (),
    say: Say = str,
    stage_seed: int | None = None,
) -> tuple["Dataset", dict[str, Any]]:
    """Load every source, put the rows together and filter them.

    `key` is the stage's key, empty for the run; `group` is the key of the sources in it, for
    messages. The column `source` is the name of a row's source; the rows' own of that name is
    `row/source`. If a source has variants, the column `variant` is the one that a row is to be
    asked in, drawn by `stage_seed` (None: `seed`); its prompt stays. A row is dropped if a text or
    the messages among the columns `needed` (none: all of them) are null. `say` is told what was
    found in the rows. Returns the rows and, for filters.json, the counts into and out of each
    filter. Raises StageError if a column is missing or often null, a filter fails or no row is
    left; what `on_empty` does instead of the last is said at `apply_filters`.
    """
    parts, counts, at = [], {}, f"{key}.{group}".lstrip(".")
    vary = any(names_of(source.variants) for source in sources.values())
    stage_seed = seed if stage_seed is None else stage_seed
    for name, source in sources.items():
        rows = load_source(source, plugins, seed, f"{at}.{name}", say)
        rows, dropped = without_nulls(rows, needed, f"{at}.{name}", say)
        if "source" in rows.column_names:
            say(f"{at}.{name}: the rows' own column 'source' is '{SOURCE_OF_ROW}' here")
        rows = rows_of_source_named(rows, name)
        if vary:
            rows = with_variants_drawn(rows, source, stage_seed, f"{at}.{name}", say)
        own = f"{at}.{name}.filters"
        rows, kept = apply_filters(rows, source.filters, plugins, own, on_empty)
        counts[name] = dropped + kept
        if source.sample_rows is not None and source.sample_rows < len(rows):
            rows = rows.shuffle(seed=seed).select(range(source.sample_rows))
        parts.append(rows)
    parts = mix(parts, [source.weight for source in sources.values()], seed)
    rows, counts["all"] = apply_filters(
        put_together(parts), filters, plugins, f"{key}.filters", on_empty
    )
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
    needed: Sequence[str] = (),
    stage_seed: int | None = None,
) -> "Dataset":
    """Load a stage's rows on rank 0, write them to `folder`, read them on all: a collective.

    `key`, `group`, `on_empty`, `needed` and `stage_seed` are those of `load_data`. Rows that are
    equal to those of an earlier attempt keep their file, and with it what `datasets` has cached of
    them: a stage that continues does not tokenise again.
    """
    from datasets import Dataset

    def made() -> "Dataset":
        rows, counts = load_data(
            sources, filters, plugins, seed, key, group, on_empty, needed, _say, stage_seed
        )
        folder.mkdir(parents=True, exist_ok=True)
        new, kept = folder / "new.parquet", folder / "rows.parquet"
        with new_file(new) as part:
            rows.to_parquet(part)
        if same_files(new, kept):
            remove(new)
        else:
            remove(folder / ".cache")  # of rows that are gone
            rename(new, kept)
        write_text(folder / "filters.json", json.dumps(counts, indent=1) + "\n")
        return Dataset.from_parquet(str(kept), cache_dir=str(folder / ".cache"))

    return made_once("rows", made, folder)


def _say(text: str) -> None:
    say(text)


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


def rows_of_source_named(rows: "Dataset", name: str) -> "Dataset":
    """Return rows with the name of their source; a column of the rows' own is then another's."""
    if "source" in rows.column_names:
        gone = [SOURCE_OF_ROW] if SOURCE_OF_ROW in rows.column_names else []
        rows = rows.remove_columns(gone).rename_column("source", SOURCE_OF_ROW)
    return with_column(rows, "source", [name] * len(rows))


def without_nulls(
    rows: "Dataset", needed: Sequence[str], key: str, say: Say
) -> tuple["Dataset", list[dict[str, Any]]]:
    """Return the rows in which no needed column is null, and a count of the others as of a filter.

    A column that is null everywhere is as good as not there. Raises StageError if more than a tenth
    of the rows would go: then the file, or its columns, are not what they are taken for.
    """
    nulls: dict[str, list[int]] = {}
    for name in [n for n in needed if n in CHAT] or CHAT:
        if name in rows.column_names:
            values = enumerate(_column(rows, name))
            nulls[name] = [i for i, value in values if value is None or value == []]
    empty = [name for name, found in nulls.items() if len(found) == len(rows)]
    rows = rows.remove_columns(empty)
    dropped = {
        i: f"{n} is null or empty" for n, found in nulls.items() if n not in empty for i in found
    }
    if not dropped:
        return rows, []
    gone = Counter(dropped.values())
    first, count = min(dropped), len(rows)
    what = ", ".join(f"{reason} in {n} of {count} rows" for reason, n in gone.items())
    said = f"{what}, first in row {first} (from 0)"
    if len(dropped) > MAX_NULL * count:
        raise StageError(f"{key}: {said}; leave them out of the file, or map other columns")
    say(f"{key}: {said}; left out")
    kept = rows.select([i for i in range(count) if i not in dropped])
    return kept, [{"filter": "null", "in": count, "out": len(kept), "reasons": dict(gone)}]


def _column(rows: "Dataset", name: str) -> Iterator[Any]:
    """Yield a column's values, some rows at a time."""
    for batch in rows.select_columns([name]).iter(CHUNK):
        yield from batch[name]
