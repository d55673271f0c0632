"""Composed values into a checked run: plugins loaded, stages parsed with their kinds' keys."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from r1trl.config.aliases import rename_source, rename_stage
from r1trl.config.kinds import load_plugins, stage_class
from r1trl.config.parse import Renaming, parse, rename_keys
from r1trl.config.schema import REQUIRED, RunConfig, SourceConfig, StageConfig
from r1trl.errors import ConfigError, unknown
from r1trl.plugins.loading import Plugins


@dataclass(frozen=True)
class Composed:
    """A composed run: its config, the plugins that it uses, the YAML, and notes for the user."""

    config: RunConfig
    plugins: Plugins
    text: str
    notes: list[str] = field(default_factory=list)


def checked(
    values: dict[str, Any],
    text: str,
    renaming: Renaming | None = None,
    loaded: Plugins | None = None,
) -> Composed:
    """Return values as a run; raise ConfigError with everything that the schema does not allow.

    `renaming` has the notes and keys of the command line; `loaded` are the plugins that it names,
    which are loaded anew only if the values name others.
    """
    renaming = renaming or Renaming()
    stages = values.pop("stages", None) or {}
    config, problems = parse(RunConfig, rename_keys(RunConfig, values, "", renaming))
    named = tuple(config.plugins.load), tuple(config.plugins.block)
    same = loaded is not None and (loaded.extra, loaded.block) == named
    plugins = loaded if loaded is not None and same else load_plugins(*named)
    for group in ("sources", "benchmarks"):
        for name, source in getattr(config, group).items():
            renamed = rename_source(vars(source), plugins, f"{group}.{name}", renaming)
            getattr(config, group)[name] = SourceConfig(**renamed)
    sources = {name: vars(source) for name, source in config.sources.items()}
    if isinstance(stages, Mapping):
        for name, stage in stages.items():
            if stage is not None:
                config.stages[name] = _stage(name, stage, sources, plugins, renaming, problems)
    else:
        problems.append(f"stages: value '{stages}' is not a mapping")
    composed = Composed(config, plugins, text, renaming.notes)
    if problems:
        raise ConfigError(sorted(problems), composed)
    return composed


def _stage(
    name: str,
    values: Any,
    sources: Mapping[str, Any],
    plugins: Plugins,
    renaming: Renaming,
    problems: list[str],
) -> StageConfig:
    """Return a stage with the keys of its kind; extend the problems."""
    key = f"stages.{name}"
    if not isinstance(values, Mapping):
        problems.append(f"{key}: value '{values}' is not a mapping")
        return StageConfig()
    values = rename_stage(values, plugins, key, renaming)
    kind, class_ = values.get("kind") or REQUIRED, StageConfig
    kinds = plugins.offers["kind"]
    if isinstance(kind, str) and kind in kinds:
        class_ = stage_class(kinds[kind].target)
    else:
        missing = kind == REQUIRED
        said = "must be given" if missing else unknown("kind", str(kind), kinds)
        problems.append(f"{key}.kind: {said}")
        common = StageConfig.__dataclass_fields__  # the others may be the kind's own
        values = {k: v for k, v in values.items() if k in common and k != "kind"}
    values = _with_sources(rename_keys(class_, values, f"{key}.", renaming), sources)
    stage: StageConfig
    stage, wrong = parse(class_, values, f"{key}.")
    problems += [line for line in wrong if not line.startswith(f"{key}.kind: ")]
    return stage


def _with_sources(stage: dict[str, Any], sources: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stage with its data entries filled from the run's sources of the same name."""
    data = stage.get("data")
    if not isinstance(data, Mapping):
        return stage
    filled = {}
    for name, entry in data.items():
        entry = {} if entry is None else entry
        located = isinstance(entry, Mapping) and (entry.get("path") or entry.get("dataset"))
        if name in sources and isinstance(entry, Mapping) and not located:
            entry = {**sources[name], **{k: v for k, v in entry.items() if v is not None}}
        filled[name] = entry
    return {**stage, "data": filled}
