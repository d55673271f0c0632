"""What can be wrong with a source of rows: of a run or of a stage, in its data or benchmarks."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from r1trl.config.checked import FILE_SUFFIXES, is_file
from r1trl.config.schema import SourceConfig
from r1trl.errors import suggest
from r1trl.plan.choices import check_filters, check_offer
from r1trl.plugins.loading import Plugins


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
    if source.path and Path(source.path).is_file() and not is_file(source.path):
        yield f".path: {source.path} is no file of rows, which are {', '.join(FILE_SUFFIXES)}"
    if source.options and not source.dataset:
        yield ".options: a source with a path has none; they are those of a plugin's dataset"
    for key in ("name", "split"):
        if getattr(source, key) and source.dataset:
            yield f".{key}: a plugin's dataset has none; set it to null"
        elif getattr(source, key) and is_file(source.path):
            yield f".{key}: {source.path} is one file and has none; set it to null"
