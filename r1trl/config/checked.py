"""Composed values into a checked run: plugins loaded, stages parsed with their kinds' keys."""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from r1trl.config.aliases import rename_chosen, rename_source, rename_stage
from r1trl.config.kinds import load_plugins, stage_class
from r1trl.config.parse import Renaming, parse, rename_keys
from r1trl.config.schema import REQUIRED, RunConfig, SourceConfig, StageConfig
from r1trl.errors import ConfigError, suggest, unknown
from r1trl.formats import is_local
from r1trl.plugins.loading import Plugins

GROUPS = ("recipe", "dataset", "family")  # of Hydra's, besides those that are keys too
RUN_KEYS = tuple(each.name for each in fields(RunConfig))
STAGE_KEYS = tuple(each.name for each in fields(StageConfig))


@dataclass(frozen=True)
class Given:
    """The keys of a command line and its words, `overrides`; `new` are keys that no file has.

    `referred_to` are keys that stages refer to by `${key}`, and `recipe` is the chosen one.
    """

    keys: AbstractSet[str] = frozenset()
    new: AbstractSet[str] = frozenset()
    referred_to: AbstractSet[str] = frozenset()
    overrides: Sequence[str] = ()
    recipe: str | None = None


@dataclass(frozen=True)
class Composed:
    """A composed run: its config, the plugins that it uses, the YAML, and notes for the user."""

    config: RunConfig
    plugins: Plugins
    text: str
    notes: list[str] = field(default_factory=list)
    given: Given = Given()


def checked(
    values: dict[str, Any],
    text: str,
    renaming: Renaming | None = None,
    loaded: Plugins | None = None,
    given: Given = Given(),
    problems: Sequence[str] = (),
) -> Composed:
    """Return values as a run; raise ConfigError with everything that the schema does not allow.

    `renaming` has the notes and keys of the command line, `loaded` the plugins that it names: they
    are loaded anew only if the values name others. `problems` are those found before.
    """
    renaming = renaming or Renaming()
    stages = values.pop("stages", None) or {}
    problems = [*problems, *_unknown_keys(values, stages)]
    values = {name: value for name, value in values.items() if name in RUN_KEYS}
    values |= {n: [values[n]] for n in ("redo", "keep") if isinstance(values.get(n), str)}
    config, wrong = parse(RunConfig, rename_keys(RunConfig, values, "", renaming))
    problems += wrong
    named = tuple(config.plugins.load), tuple(config.plugins.block)
    same = loaded is not None and (loaded.extra, loaded.block) == named
    plugins = loaded if loaded is not None and same else load_plugins(*named)
    for group in ("sources", "benchmarks"):
        for name, source in getattr(config, group).items():
            renamed = rename_source(vars(source), plugins, f"{group}.{name}", renaming)
            getattr(config, group)[name] = SourceConfig(**renamed)
    config.trackers = rename_chosen(config.trackers, "tracker", plugins, "trackers", renaming)
    sources = {name: vars(source) for name, source in config.sources.items()}
    if isinstance(stages, Mapping):
        for name, stage in stages.items():
            if stage is not None:
                config.stages[name] = _stage(name, stage, sources, plugins, renaming, problems)
        problems += _without_kind(stages)
    else:
        problems.append(f"stages: value '{stages}' is not a mapping")
    composed = Composed(config, plugins, text, renaming.notes, given)
    if problems:
        raise ConfigError(sorted(problems), composed)
    return composed


def _unknown_keys(values: Mapping[str, Any], stages: Any) -> Iterator[str]:
    """Yield the keys that a run does not have; one of a stage with a stage that has it."""
    there = sorted((*RUN_KEYS, *GROUPS))
    for name in [name for name in values if name not in RUN_KEYS]:
        if name in STAGE_KEYS and isinstance(stages, Mapping) and stages:
            close = f"; it is a key of a stage, such as stages.{next(iter(stages))}.{name}"
        else:
            close = suggest(name, there)
        yield f"{name}: there is no such key{close}; there are: {', '.join(there)}"


def _without_kind(stages: Mapping[str, Any]) -> Iterator[str]:
    """Yield the stages that have no kind: mostly, another one's name is misspelt."""
    known = [n for n, stage in stages.items() if isinstance(stage, Mapping) and stage.get("kind")]
    for name, stage in stages.items():
        if isinstance(stage, Mapping) and name not in known:
            what = f"the recipe has no stage '{name}'{suggest(str(name), known)}"
            yield f"stages.{name}: {what}; to add a stage give it a kind: stages.{name}.kind=…"


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
        if kind != REQUIRED:
            problems.append(f"{key}.kind: {unknown('kind', str(kind), kinds)}")
        common = StageConfig.__dataclass_fields__  # the others may be the kind's own
        values = {k: v for k, v in values.items() if k in common and k != "kind"}
    values = _with_sources(rename_keys(class_, values, f"{key}.", renaming), sources)
    parsed: StageConfig
    parsed, wrong = parse(class_, values, f"{key}.")
    problems += [line for line in wrong if not line.startswith(f"{key}.kind: ")]
    return parsed


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


def dataset_files(choices: Mapping[str, Any], folders: Sequence[Path]) -> dict[str, Any]:
    """Return what the files of the chosen datasets say, by the keys of their sources."""
    found = {}
    for choice, option in choices.items():
        group, _, package = choice.partition("@")
        file = next(filter(Path.is_file, (f / group / f"{option}.yaml" for f in folders)), None)
        if group == "dataset" and package and file:
            found[package] = yaml.safe_load(file.read_text("utf-8")) or {}
    return found


def superseded(
    values: Mapping[str, Any], files: Mapping[str, Mapping[str, Any]], given: AbstractSet[str]
) -> list[str]:
    """Return the keys of the run's sources that a path or dataset of the user's makes meaningless.

    `files` has what the files of the chosen datasets say, by the keys of sources. What stands there
    is not the user's own, unless it is in `given`, the keys of the command line. The columns of a
    dataset that the command line chooses stay: the path is then a copy of it.
    """
    found = []
    for key, file in files.items():
        group, _, name = key.partition(".")
        source = (values.get(group) or {}).get(name)
        if not isinstance(source, Mapping):
            continue
        now, before = _flat(source), _flat(file)
        whole = {k for k in before if given & {f"{key}.{k}", f"{key}.{k.partition('.')[0]}"}}
        left = [k for k in before if k in now and now[k] == before[k] and k not in whole]
        own = {k for k in ("path", "dataset") if now.get(k)} - set(left)
        gone: tuple[str, ...] = ()
        if own == {"path"}:
            local = ("name", "split", *(() if key in given else ("columns",)))
            gone = ("dataset", "options", *(local if is_local(now["path"]) else ()))
        elif own == {"dataset"}:
            gone = ("path", "name", "split", *(("options",) if f"{key}.dataset" in given else ()))
        found += [f"{key}.{k}" for k in left if k in gone or k.partition(".")[0] in gone]
    return found


def _flat(source: Mapping[str, Any]) -> dict[str, Any]:
    """Return a source with an entry for each option and column, in place of the mappings."""
    parts = {part: source.get(part) or {} for part in ("options", "columns")}
    flat = {name: value for name, value in source.items() if name not in parts}
    return flat | {f"{part}.{n}": value for part in parts for n, value in parts[part].items()}
