"""A stage's model evaluated in the run that has made it: one more stage there.

It is asked and judged as the run's config says: as by the run's own scoreboard, if it has one.
"""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from r1trl.catalog.listing import options_of
from r1trl.config.aliases import rename_key
from r1trl.config.checked import Composed
from r1trl.config.compose import checked_values, compose, search_path
from r1trl.config.keys import apply, is_new, leaves
from r1trl.config.kinds import load_plugins
from r1trl.config.overrides import read_all, split
from r1trl.config.parse import Renaming
from r1trl.errors import ConfigError, unknown
from r1trl.eval.asked import CONFIG, STAGES, Question
from r1trl.eval.own_run import RECIPE, STAGE, benchmark_names
from r1trl.plan.plan import Plan, make_plan
from r1trl.plugins.loading import Plugins
from r1trl.stage.files import read_result, read_spec, with_values
from r1trl.stage.inputs import PREFIX

PROMPT = ("template", "prefill", "system", "chat_template_kwargs", "max_position_embeddings")
OF_COMMAND = ("until", "redo", "keep")  # what one command was asked, not the run


def plan_of_stage(asked: Question, stage: Path) -> Plan:
    """Return a plan of one stage, in the folder of the run whose stage's model is evaluated.

    Raises ConfigError if that stage has made no model, or with everything that is wrong with what
    is asked.
    """
    run, name = stage.parents[1], stage.name
    result, values = read_result(stage), _config_of(run)
    stages = values.pop("stages", None) or {}
    if result is None or result.model is None:
        results = map(read_result, sorted(stage.parent.iterdir()))
        there = [each.stage for each in results if each and each.model]
        if name not in stages:
            raise ConfigError([f"{asked.model}: {unknown('stage', name, there)}"])
        why = "makes no model" if result else "has not finished"
        given = f"; these have made a model: {', '.join(there) or 'none'}"
        raise ConfigError([f"{asked.model}: the stage {why}{given}"])
    new = asked.named(f"{RECIPE}_{name}")
    if new in stages:
        raise ConfigError([f"{run.name}: has a stage '{new}' of its own; name other benchmarks"])
    named = values.get("plugins") or {}
    plugins = load_plugins(named.get("load") or (), named.get("block") or ())
    settings = _settings(stages, stage, plugins)
    if asked.benchmarks:
        settings["benchmarks"] = _benchmarks(asked, settings, values)
    values |= {"name": run.name, "runs_dir": os.path.relpath(run.parent)}
    inputs = _inputs(settings, Path(values["runs_dir"]) / run.name / STAGES)
    values["stages"] = {new: with_values(settings, inputs)}
    plan = make_plan(_checked(asked, values, plugins))
    (planned,) = plan.stages
    spec = replace(planned.spec, inputs=inputs)  # told as what the stage has read
    return replace(plan, stages=[replace(planned, spec=spec)])


def _config_of(run: Path) -> dict[str, Any]:
    """Return a run's config as it was composed, with its interpolations."""
    values = yaml.safe_load((run / CONFIG).read_text(encoding="utf-8"))
    return {key: value for key, value in values.items() if key not in OF_COMMAND}


def _settings(stages: Mapping[str, Any], stage: Path, plugins: Plugins) -> dict[str, Any]:
    """Return the settings of the stage to add: those of the run's scoreboard, for this model alone.

    Of several scoreboards the last that has the model counts, else the last one; a run without any
    is judged as by the recipe `eval`. A model in no scoreboard is asked as it was trained.
    """
    kinds, reference = plugins.offers["kind"], f"{PREFIX}{stage.name}"
    boards = [each for each in stages.values() if each and kinds[each["kind"]].target.scores]
    asking = [
        (board, entry)
        for board in boards
        for entry in (board.get("models") or {}).values()
        if entry and entry.get("path") == reference
    ]
    if asking:
        board, entry = asking[-1]
    else:
        board, entry = (boards or [_shipped()["stages"][STAGE]])[-1], _trained(stage)
    models = {stage.name: {**entry, "path": reference}}
    return {**board, "models": models, "transitions": {}}


def _trained(stage: Path) -> dict[str, Any]:
    """Return how a stage has asked its model."""
    spec = read_spec(stage)
    settings = spec.settings if spec else {}
    return {key: settings[key] for key in PROMPT if settings.get(key)}


def _shipped(*overrides: str, own: Path | None = None) -> dict[str, Any]:
    """Return the values of the recipe `eval`, with their interpolations."""
    text = compose([f"recipe={RECIPE}", "name=x", *overrides], own).text
    values: dict[str, Any] = yaml.safe_load(text)
    return values


def _benchmarks(asked: Question, settings: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the benchmarks asked for: of the scoreboard, of the run, or of conf/dataset."""
    there = {name: f"${{benchmarks.{name}}}" for name in values.get("benchmarks") or {}}
    there |= settings.get("benchmarks") or {}
    datasets = options_of(search_path((), (), asked.own), "dataset")
    names = benchmark_names(asked.benchmarks, there, datasets)
    key = f"stages.{STAGE}.benchmarks"
    mounted = [f"+dataset@{key}.{n}={each}" for n, each in names.items() if n not in there]
    shipped = _shipped(*mounted, own=asked.own)["stages"][STAGE] if mounted else {}
    return {name: there.get(name) or shipped["benchmarks"][name] for name in names}


def _inputs(settings: Any, stages: Path) -> dict[str, str]:
    """Return what other stages of the run have made and settings name, by reference."""
    found = {}
    for _, value in leaves(settings):
        if isinstance(value, str) and value.startswith(PREFIX):
            name, _, file = value.removeprefix(PREFIX).partition("/")
            result = read_result(stages / name)
            made = result and (stages / name / file if file else result.model or result.dataset)
            if not made:
                raise ConfigError([f"{value}: the stage has not finished"])
            found[value] = os.path.normpath(made)
    return found


def _checked(asked: Question, values: dict[str, Any], plugins: Plugins) -> Composed:
    """Return the run with the overrides of the command line, checked."""
    renaming = Renaming()
    groups, keys = split(read_all(asked.overrides), search_path((), (), asked.own))
    if groups:
        given = "is chosen when a run is composed; here give keys of it, as launch.how=…"
        raise ConfigError([f"{override.key}: {given}" for override in groups])
    keys = [replace(o, key=rename_key(o.key, plugins, renaming)) for o in keys]
    new = {o.key for o in keys if is_new(values, o.key)}
    problems = apply(keys, values, renaming.notes)
    renaming.given |= {o.key for o in keys if not o.deletes}
    return checked_values(values, renaming, plugins, new, problems)
