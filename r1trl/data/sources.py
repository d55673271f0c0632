"""One source of rows: a file, a Hub dataset or a plugin's; columns mapped, variants drawn."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from r1trl.config.schema import SourceConfig
from r1trl.data.shapes import normal_rows
from r1trl.data.templates import fill_or_none, is_template, names_in
from r1trl.errors import R1trlError, StageError, errors_named, suggest
from r1trl.files.local import local_rows
from r1trl.files.tables import OWN, with_names_aside
from r1trl.formats import is_local
from r1trl.plugins.loading import Plugins
from r1trl.variants import draw

if TYPE_CHECKING:
    from datasets import Dataset

Say = Callable[[str], object]  # told what was found in the rows


def load_source(
    source: SourceConfig, plugins: Plugins, seed: int, key: str, say: Say = str
) -> "Dataset":
    """Return the rows of one source in one shape, columns mapped; `key` is the source's key.

    A plugin's dataset with an option `seed` gets `seed`. `say` is told what was found in the rows.
    Raises StageError if it cannot be loaded or has no rows.
    """
    from datasets.exceptions import DatasetsError

    try:
        if source.dataset:
            offer = plugins.find("dataset", source.dataset)
            options = dict(source.options)
            if "seed" in offer.options:
                options.setdefault("seed", seed)
            with errors_named(f"dataset '{source.dataset}'"):
                made = offer.bind(options)()
            rows = made_rows(made, source.dataset)
            if source.take is not None:
                rows = rows.select(range(min(source.take, len(rows))))
        else:
            rows = _load_rows(source)
        if not len(rows):
            raise ValueError("there are no rows in it")
        rows = map_columns(rows, source.columns)
        return normal_rows(rows, not source.columns, lambda text: say(f"{key}: {text}"))
    except (OSError, ValueError, R1trlError, DatasetsError) as error:
        raise StageError(f"{key}: {error}") from error


def made_rows(rows: Any, name: str) -> "Dataset":
    """Return what a plugin's dataset has returned; raise StageError unless it is a Dataset."""
    from datasets import Dataset

    if not isinstance(rows, Dataset):
        kind = "None" if rows is None else f"a {type(rows).__name__}"
        form = "it returns a datasets.Dataset, such as Dataset.from_list([{…}, …])"
        raise StageError(f"dataset '{name}' returned {kind}; {form}")
    return rows


def _load_rows(source: SourceConfig) -> "Dataset":
    """Return the rows of local files or a Hub dataset; with `take` the first so many."""
    from datasets import Dataset, load_dataset

    path, count = str(source.path), source.take
    if is_local(path):
        return local_rows(path, source.name, source.split, count)
    options: dict[str, Any] = {"split": source.split or "train", "streaming": bool(count)}
    try:
        rows = load_dataset(path, source.name, **options)
    except OSError as error:
        raise OSError(
            f"there is no file or folder {path} here, and as a Hub id: {error}"
        ) from error
    if not count:
        return rows
    return Dataset.from_generator(rows.take(count).__iter__, features=rows.features)


def with_variants_drawn(
    rows: "Dataset", source: SourceConfig, seed: int, key: str, say: Say
) -> "Dataset":
    """Return rows with the column `variant`: the one that each is to be asked in, or REFERENCE.

    A column of that name of the rows' own steps aside, which `say` is told. Raises StageError if
    there are variants and no prompts.
    """
    names = names_of(source.variants)
    if names and "prompt" not in rows.column_names:
        there = ", ".join(rows.column_names)
        raise StageError(f"{key}.variants: the rows have no column 'prompt'; they have: {there}")
    if "variant" in rows.column_names:
        say(f"{key}: the rows' own column 'variant' is '{OWN}variant' here")
    prompts = rows["prompt"][:] if names else [None] * len(rows)
    drawn = [draw(names, source.varied, seed, prompt) for prompt in prompts]
    return with_names_aside(rows, {"variant": drawn})


def names_of(variants: Mapping[str, Any]) -> list[str]:
    """Return the names of variants that are not dropped."""
    return [name for name, options in variants.items() if options is not None]


def missing_columns(columns: Mapping[str, str], there: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with `columns` of a source if its rows have these columns."""
    for new, old in columns.items():
        for name in names_in(old):
            if name not in there:
                close = suggest(name, there)
                listed = ", ".join(there)
                yield f"columns.{new}: the rows have no column '{name}'{close}; they have: {listed}"


def map_columns(rows: "Dataset", columns: Mapping[str, str]) -> "Dataset":
    """Return rows with the named columns under their new names; `{{` makes a Jinja template.

    `columns` maps new names to old ones or templates; empty: rows are unchanged. A template that
    needs a value that is null in a row makes null, not the text 'None'. Raises ValueError if a
    column is missing.
    """
    from datasets import Features, Value, concatenate_datasets

    if not columns:
        return rows
    for line in missing_columns(columns, rows.column_names):
        raise ValueError(line)
    rows = rows.flatten_indices() if rows._indices is not None else rows
    templates = {new: old for new, old in columns.items() if is_template(old)}

    def filled(row: dict[str, Any], index: int) -> dict[str, str | None]:
        try:
            return {new: fill_or_none(template, row) for new, template in templates.items()}
        except ValueError as error:
            raise ValueError(f"row {index} (from 0): {error}") from error

    types = Features({new: Value("string") for new in templates})
    made = rows
    if templates:
        options = {"remove_columns": rows.column_names, "features": types}
        made = rows.map(filled, with_indices=True, **options)
    parts = [
        made.select_columns([new])
        if new in templates
        else rows.select_columns([old]).rename_columns({old: new} if old != new else {})
        for new, old in columns.items()
    ]
    return concatenate_datasets(parts, axis=1)


def fill(template: str, row: Mapping[str, Any]) -> str:
    """Return a Jinja template filled with a row's columns; in it `row` is the whole row.

    Raises ValueError if the template fails, or names a column that the row lacks or that is null
    in it; a null column may be tested, as in `{{ input or '' }}`.
    """
    text = fill_or_none(template, row)
    if text is None:
        nulls = ", ".join(name for name, value in row.items() if value is None)
        raise ValueError(f"template {template!r}: a column of this row is null: {nulls}")
    return text
