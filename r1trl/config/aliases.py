"""Former names replaced by today's, with a note each: keys on the command line, offers, options.

Former names of keys in files are replaced by `parse.rename_keys`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from r1trl.config.kinds import stage_class
from r1trl.config.parse import Renaming, aliases_of, config_in
from r1trl.config.schema import RunConfig, StageConfig
from r1trl.plugins.loading import Plugins
from r1trl.plugins.offer import OWN_NAMES, offered_name

ROLE_OF = {
    "rewards": "reward",
    "filters": "filter",
    "samplers": "sampler",
    "transitions": "transition",
    "variants": "variant",
    "trackers": "tracker",
}


def rename_key(key: str, plugins: Plugins, renaming: Renaming) -> str:
    """Return a key of the command line with former names in it replaced, before it is composed."""
    renamed = ".".join(_rename_path(key.split("."), plugins))
    if renamed != key:
        renaming.notes.append(f"{key} is called '{renamed}' now")
    return renamed


def _rename_path(path: Sequence[str], plugins: Plugins) -> list[str]:
    """Return the parts of a key with former names replaced, down from the run's config."""
    classes: list[Any] = [RunConfig]
    renamed: list[str] = []
    parts = list(path)
    while parts:
        part = parts.pop(0)
        if part in ROLE_OF and parts:
            return [*renamed, part, *_rename_offer(parts, ROLE_OF[part], plugins)]
        part = next((a[part] for c in classes if part in (a := aliases_of(c))), part)
        renamed.append(part)
        inner = [config_in(c, part) for c in classes]
        if any(is_mapping for _, is_mapping in inner) and parts:
            renamed.append(parts.pop(0))
        classes = [class_ for class_, _ in inner if class_]
        if classes == [StageConfig]:
            classes = [stage_class(offer.target) for offer in plugins.offers["kind"].values()]
    return renamed


def _rename_offer(parts: list[str], role: str, plugins: Plugins) -> list[str]:
    """Return the name of an offer and what follows, with former names replaced."""
    name, *options = parts
    today = plugins.aliases[role].get(name, name)
    offer = plugins.offers[role].get(today)
    if offer and options:
        options[0] = offer.description.aliases.get(options[0], options[0])
    return [name if role in OWN_NAMES else today, *options]


def rename_source(source: Any, plugins: Plugins, key: str, renaming: Renaming) -> Any:
    """Return a source with the former names of its dataset, filters and variants replaced."""
    if not isinstance(source, Mapping):
        return source
    renamed = dict(source)
    _rename_value(renamed, "dataset", plugins, key, renaming)
    return _rename_under(renamed, ("filters", "variants"), plugins, key, renaming)


def rename_stage(stage: Mapping[str, Any], plugins: Plugins, key: str, renaming: Renaming) -> Any:
    """Return a stage with the former names of its kind, offers and their options replaced.

    Offers stand in the stage itself, in its sources, and in its models. `key` is the stage's key.
    """
    renamed = dict(stage)
    _rename_value(renamed, "kind", plugins, key, renaming)
    for group in ("data", "benchmarks"):
        _rename_each(renamed, group, rename_source, plugins, key, renaming)
    _rename_each(renamed, "models", _rename_model, plugins, key, renaming)
    return _rename_under(renamed, tuple(ROLE_OF), plugins, key, renaming)


def _rename_model(model: Any, plugins: Plugins, key: str, renaming: Renaming) -> Any:
    if not isinstance(model, Mapping):
        return model
    return _rename_under(dict(model), ("samplers",), plugins, key, renaming)


def _rename_each(
    values: dict[str, Any],
    group: str,
    rename: Callable[..., Any],
    plugins: Plugins,
    key: str,
    renaming: Renaming,
) -> None:
    if isinstance(values.get(group), Mapping):
        values[group] = {
            name: rename(entry, plugins, f"{key}.{group}.{name}", renaming)
            for name, entry in values[group].items()
        }


def _rename_value(
    values: dict[str, Any], name: str, plugins: Plugins, key: str, renaming: Renaming
) -> None:
    """Replace a value that is the former name of an offer; its key is the offer's role."""
    value = values.get(name)
    if isinstance(value, str) and value in plugins.aliases[name]:
        values[name] = plugins.aliases[name][value]
        renaming.notes.append(f"{key}.{name}: '{value}' is called '{values[name]}' now")


def _rename_under(
    values: dict[str, Any], names: Sequence[str], plugins: Plugins, key: str, renaming: Renaming
) -> dict[str, Any]:
    """Replace former names in the mappings of offers under some keys; their order is kept."""
    for name in names:
        if isinstance(values.get(name), Mapping):
            role, inner = ROLE_OF[name], f"{key}.{name}"
            values[name] = rename_chosen(values[name], role, plugins, inner, renaming)
    return values


def rename_chosen(
    chosen: Mapping[str, Any], role: str, plugins: Plugins, key: str, renaming: Renaming
) -> dict[str, Any]:
    """Return a mapping from offers to options with former names of both replaced.

    A reward or variant keeps its key, which others may refer to, and gets `reward: <today's name>`.
    """
    aliases = plugins.aliases[role]
    if role in OWN_NAMES:
        renamed = {n: _rename_own(role, n, o, aliases, key, renaming) for n, o in chosen.items()}
    else:
        renamed = renaming.keys(chosen, aliases, f"{key}.")
    for name, options in renamed.items():
        if isinstance(options, Mapping):
            offer = plugins.offers[role].get(offered_name(role, name, options))
            former = offer.description.aliases if offer else {}
            renamed[name] = renaming.keys(options, former, f"{key}.{name}.")
    return renamed


def _rename_own(
    role: str, name: str, options: Any, aliases: Mapping[str, str], key: str, renaming: Renaming
) -> Any:
    target = offered_name(role, name, options)
    if target not in aliases or not isinstance(options, Mapping):
        return options
    renaming.notes.append(f"{key}.{name}: the {role} '{target}' is called '{aliases[target]}' now")
    return {**options, role: aliases[target]}
