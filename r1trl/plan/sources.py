"""What can be wrong with a source of rows: of a run or of a stage, in its data or benchmarks."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from r1trl.config.schema import REQUIRED, RunConfig, SourceConfig
from r1trl.data.sources import missing_columns
from r1trl.errors import suggest
from r1trl.files.local import head_columns
from r1trl.files.names import found, shaped
from r1trl.formats import POSSIBLE, format_of, is_file, is_local, is_there
from r1trl.plan.choices import active, check_filters, check_offer
from r1trl.plan.drawing import check_variants
from r1trl.plugins.loading import Plugins
from r1trl.types import Benchmarks


def check_source(
    source: SourceConfig,
    name: str,
    others: Iterable[str],
    benchmarks: Iterable[str],
    plugins: Plugins,
) -> list[str]:
    """Return what is wrong with a source, each with its key relative to the source's.

    `others` are the names that may have been meant; `benchmarks` are the run's.
    """
    problems = list(_origin(source, name, others))
    if source.dataset and not source.path:
        problems += check_offer(
            plugins, "dataset", source.dataset, source.options, ".options", ".dataset"
        )
    problems += check_variants(source.variants, ".variants", plugins)
    if source.varied is not None and not active(source.variants):
        problems.append(".varied: is the share of rows in other forms, and there are no variants")
    return problems + check_filters(plugins, source.filters, benchmarks, ".filters")


def _origin(source: SourceConfig, name: str, others: Iterable[str]) -> Iterator[str]:
    """Yield why rows cannot be read, and what would not be read with them."""
    if source.path and source.dataset:
        yield ": has both a path and a dataset; set one of them to null"
        return
    if not source.path and not source.dataset:
        there = ", ".join(sorted(others)) or "no other"
        yield f": needs a path or a dataset{suggest(name, others)}; the run has: {there}"
        return
    if source.path == REQUIRED:
        yield ".path: must be given: a file of your own, such as mine.jsonl"
        return
    if source.path and Path(source.path).is_file() and not format_of(source.path):
        yield f".path: {source.path} is no file of rows, which are {POSSIBLE}"
    if source.options and not source.dataset:
        yield ".options: a source with a path has none; they are those of a plugin's dataset"
    for key in ("name", "split"):
        if getattr(source, key) and source.dataset:
            yield f".{key}: a plugin's dataset has none; set it to null"
        elif getattr(source, key) and is_file(source.path):
            yield f".{key}: {source.path} is one file and has none; set it to null"


def check_columns(source: SourceConfig, needed: Iterable[str]) -> list[str]:
    """Return what is wrong with the columns of local files that are there, with relative keys.

    `needed` are those of the stage's kind. A file that cannot be read is wrong too.
    """
    if (names := _columns(source)) is None:
        return []
    if isinstance(names, str):
        return [f".path: {names}"]
    if problems := [f".{line}" for line in missing_columns(source.columns, names)]:
        return problems
    there = shaped(list(source.columns) if source.columns else [*names, *found(names)])
    return [
        f".columns: the rows have no column '{name}'; they have: {', '.join(names)}; say which is "
        f"meant: columns: {{{name}: …{', solution: …' if name == 'prompt' else ''}}}"
        for name in needed
        if name not in there
    ]


def note_on_columns(source: SourceConfig) -> str:
    """Return which columns of local files were found to be the prompt and the solution."""
    names = _columns(source)
    meant = {} if source.columns or isinstance(names, str | None) else found(names)
    return ", ".join(f"{new} is the column '{old}'" for new, old in meant.items())


def _columns(source: SourceConfig) -> list[str] | str | None:
    """Return the columns of local files, or why they cannot be read; None of any other source."""
    path = str(source.path)
    if source.dataset or path.startswith("stage:") or not (is_local(path) and is_there(path)):
        return None
    try:
        return list(head_columns(path, source.name, source.split))
    except (OSError, ValueError) as error:
        return str(error)


def name_benchmarks(settings: dict[str, Any], config: RunConfig, plugins: Plugins) -> None:
    """Put sources in place of the names of benchmarks in the options of filters."""
    sources = [*settings["data"].values(), *settings["benchmarks"].values(), settings]
    chosen = [item for source in sources for item in active(source["filters"]).items()]
    for name, options in chosen:
        for option in plugins.find("filter", name).options_of_type(Benchmarks):
            named = options.get(option) or config.benchmarks
            options[option] = {n: asdict(config.benchmarks[n]) for n in named}  # type: ignore[index]
