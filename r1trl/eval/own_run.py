"""A model evaluated in a run of its own: recipe=eval, with overrides for what is asked."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from r1trl.catalog.listing import options_of
from r1trl.config.compose import compose, named_plugins, search_path
from r1trl.config.overrides import read_all
from r1trl.errors import ConfigError, suggest, unknown
from r1trl.eval.asked import CONFIG, STAGES, Question, fit
from r1trl.models.folder import model_problem

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
    return [*overrides, *_benchmarks(asked, folders), *asked.overrides]


def _benchmarks(asked: Question, folders: Sequence[Path]) -> list[str]:
    """Return overrides that give the stage the benchmarks asked for; none if none is asked for.

    Raises ConfigError with those that are neither benchmarks of the recipe nor in conf/dataset.
    """
    if not asked.benchmarks:
        return []
    composed = compose([f"recipe={RECIPE}", "name=x", *asked.overrides], asked.own)
    there, datasets = composed.config.benchmarks, options_of(folders, "dataset")
    names = benchmark_names(asked.benchmarks, there, datasets)
    key = f"stages.{STAGE}.benchmarks"
    return [
        f"{key}.{name}=${{benchmarks.{name}}}" if name in there else f"+dataset@{key}.{name}={each}"
        for name, each in names.items()
    ]


def benchmark_names(
    asked: Sequence[str], benchmarks: Mapping[str, object], datasets: Mapping[str, Path]
) -> dict[str, str]:
    """Return what is asked for by its name as a benchmark: math-500 of conf/dataset as math_500.

    Raises ConfigError with what is neither among a run's benchmarks nor among datasets.
    """
    known = [*benchmarks, *datasets]
    if wrong := [unknown("benchmark", name, known) for name in asked if name not in known]:
        raise ConfigError(wrong)
    return {name if name in benchmarks else re.sub(r"\W+", "_", name): name for name in asked}


def _model(model: str, options: Mapping[str, Path]) -> str:
    """Return the override that chooses a model; raise ConfigError if it can be none."""
    folder = Path(model)
    if (folder / CONFIG).is_file() and (folder / STAGES).is_dir():
        made = next(iter(sorted(folder.glob(f"{STAGES}/*/model"))), None)
        such = f", such as {made.parent}" if made else ", once one has made a model"
        raise ConfigError(
            [f"{model} is the folder of a run; give the folder of one of its stages{such}"]
        )
    if "/" in model or folder.is_dir():
        if not folder.is_dir() and (problem := model_problem(model)):
            raise ConfigError([problem])
        quoted = model.replace("'", "\\'")
        return f"model.path='{quoted}'"
    if model in options:
        return f"model={model}"
    possible = "give a folder, a Hub id with its owner, or a name that `r1trl list models` has"
    raise ConfigError([f"there is no model '{model}'{suggest(model, options)}; {possible}"])
