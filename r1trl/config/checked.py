"""Composed values into a checked run: plugins loaded, stages parsed with their kinds' keys."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from r1trl.config.aliases import rename_offers
from r1trl.config.kinds import load_plugins, stage_class
from r1trl.config.parse import parse, rename_keys
from r1trl.config.schema import REQUIRED, RunConfig, StageConfig
from r1trl.errors import ConfigError, unknown
from r1trl.plugins.loading import Plugins


@dataclass(frozen=True)
class Composed:
    """A composed run: its config, the plugins that it uses, the YAML, and notes for the user."""

    config: RunConfig
    plugins: Plugins
    text: str
    notes: list[str] = field(default_factory=list)


def checked(values: dict[str, Any], text: str, notes: Sequence[str] = ()) -> Composed:
    """Return values as a run; raise ConfigError with everything that the schema does not allow.

    `notes` are put before those on former names.
    """
    stages = values.pop("stages", None) or {}
    values, more_notes, problems = rename_keys(RunConfig, values)
    notes = [*notes, *more_notes]
    config, more = parse(RunConfig, values)
    plugins = load_plugins(config.plugins.load, config.plugins.block)
    problems += more
    if isinstance(stages, Mapping):
        sources = rename_offers(values.get("sources"), plugins, "sources", notes, problems)
        for name, stage in stages.items():
            if stage is not None:
                config.stages[name] = _stage(name, stage, sources, plugins, notes, problems)
    else:
        problems.append(f"stages: value '{stages}' is not a mapping")
    found = Composed(config, plugins, text, notes)
    if problems:
        raise ConfigError(sorted(problems), found)
    return found


def _stage(
    name: str, values: Any, sources: Any, plugins: Plugins, notes: list[str], problems: list[str]
) -> StageConfig:
    """Return a stage with the keys of its kind; extend the notes and the problems."""
    key = f"stages.{name}"
    if not isinstance(values, Mapping):
        problems.append(f"{key}: value '{values}' is not a mapping")
        return StageConfig()
    renamed_notes: list[str] = []
    values = rename_offers(values, plugins, key, renamed_notes, problems)
    kind, class_ = values.get("kind", REQUIRED), StageConfig
    known = plugins.offers["kind"]
    if kind in known:
        class_ = stage_class(known[kind].target)
    elif kind != REQUIRED:
        problems.append(f"{key}.kind: {unknown('kind', str(kind), known)}")
        common = StageConfig.__dataclass_fields__  # the others may be the kind's own
        values = {k: v for k, v in values.items() if k in common and k != "kind"}
    renamed, more_notes, more_problems = rename_keys(class_, values, f"{key}.")
    stage: StageConfig
    stage, wrong = parse(class_, _with_sources(renamed, sources), f"{key}.")
    notes += renamed_notes
    notes += more_notes
    problems += more_problems + [w for w in wrong if kind in known or ".kind: " not in w]
    return stage


def _with_sources(stage: dict[str, Any], sources: Any) -> dict[str, Any]:
    """Return a stage with its data entries filled from the run's sources of the same name."""
    data = stage.get("data")
    if not (isinstance(data, Mapping) and isinstance(sources, Mapping)):
        return stage
    filled = {}
    for name, entry in data.items():
        entry = {} if entry is None else entry
        own = isinstance(entry, Mapping) and (entry.get("path") or entry.get("dataset"))
        if name in sources and isinstance(entry, Mapping) and not own:
            given = {k: v for k, v in entry.items() if v is not None}
            entry = {**sources[name], **given}
        filled[name] = entry
    return {**stage, "data": filled}
