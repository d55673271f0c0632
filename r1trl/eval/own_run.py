"""A model evaluated in a run of its own: recipe=eval, with overrides for what is asked."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from r1trl.catalog.listing import options_of
from r1trl.config.compose import compose, named_plugins, search_path
from r1trl.config.overrides import read_all
from r1trl.errors import ConfigError, suggest, unknown
from r1trl.eval.asked import Question, fit, key_of

RECIPE, STAGE = "eval", "scoreboard"


def run_overrides(asked: Question) -> list[str]:
    """Return the overrides of the run that evaluates a model; the user's own come last.

    Raises ConfigError if there is no such model or benchmark.
    """
    folders = search_path(*named_plugins(read_all(asked.overrides)), asked.own)
    model = _model(asked.model, options_of(folders, "model"))
    label = fit(Path(asked.model).name)
    label = f"model-{label}" if label.isdigit() else label
    models = f"stages.{STAGE}.models"
    named = f"{models}={{{label}: {{path: '${{model.path}}'}}}}"
    overrides = [f"recipe={RECIPE}", f"name={asked.named(f'{RECIPE}-{label}')}", model]
    overrides += [f"~{models}.model", named]
    key = f"stages.{STAGE}.benchmarks"
    return [*overrides, *benchmark_overrides(asked, key, folders), *asked.overrides]


def benchmark_overrides(asked: Question, key: str, folders: Sequence[Path]) -> list[str]:
    """Return overrides that mount the benchmarks asked for at a key; none if none is asked for.

    Raises ConfigError with those that are neither in conf/dataset nor benchmarks of the run.
    """
    datasets = options_of(folders, "dataset")
    others = [name for name in asked.benchmarks if name not in datasets]
    if others:
        given = [f"recipe={RECIPE}", "name=x", *asked.overrides]
        check_benchmarks(others, compose(given, asked.own).config.benchmarks, datasets)
    return [
        f"+dataset@{key}.{key_of(name)}={name}"
        if name in datasets
        else f"{key}.{name}=${{benchmarks.{name}}}"
        for name in asked.benchmarks
    ]


def check_benchmarks(
    names: Sequence[str], benchmarks: Mapping[str, object], datasets: Mapping[str, Path]
) -> None:
    """Raise ConfigError with the names that are no benchmarks of a run."""
    known = [*benchmarks, *datasets]
    wrong = [unknown("benchmark", name, known) for name in names if name not in benchmarks]
    if wrong:
        raise ConfigError(wrong)


def _model(model: str, options: Mapping[str, Path]) -> str:
    """Return the override that chooses a model; raise ConfigError if it can be none."""
    if "/" in model or Path(model).is_dir():
        return f"model.path='{model}'"
    if model in options:
        return f"model={model}"
    possible = "give a folder, a Hub id with its owner, or a name that `r1trl list models` has"
    raise ConfigError([f"there is no model '{model}'{suggest(model, options)}; {possible}"])
