"""Former names replaced by today's, with a note each: keys on the command line, offers, options.

Former names of keys in files are replaced by `parse.rename_keys`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from r1trl.config.kinds import stage_class
from r1trl.config.parse import aliases_of, config_in
from r1trl.config.schema import RunConfig, StageConfig
from r1trl.plugins.loading import Plugins

ROLE_OF = {
    "rewards": "reward",
    "filters": "filter",
    "samplers": "sampler",
    "transitions": "transition",
}
NAMES = ("kind", "dataset")  # keys whose value is the name of an offer of that role


def rename_override(override: str, plugins: Plugins, notes: list[str]) -> str:
    """Return `key=value` with former names in the key replaced; extend `notes`.

    On the command line this comes before composing, so that an old name overrides a file's new one.
    """
    match = re.match(r"([~+]*)([^=@]+)(.*)", override, re.DOTALL)
    if match is None:
        return override
    prefix, key, rest = match.groups()
    renamed = ".".join(_rename_path(key.split("."), plugins))
    if renamed != key:
        notes.append(f"{key} is called '{renamed}' now")
    return prefix + renamed + rest


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
    name = plugins.aliases[role].get(name, name)
    offer = plugins.offers[role].get(name)
    if offer and options:
        options[0] = offer.description.aliases.get(options[0], options[0])
    return [name, *options]


def rename_offers(
    values: Any, plugins: Plugins, key: str, notes: list[str], problems: list[str]
) -> Any:
    """Return nested values with former names of offers and options replaced.

    Mappings of offers stand under the keys of ROLE_OF, at any depth; their order is kept. `key` is
    the key of `values`. Extends `notes`, and `problems` if an old and a new name are both given.
    """
    if not isinstance(values, Mapping):
        return values
    renamed: dict[str, Any] = {}
    for name, value in values.items():
        inner = f"{key}.{name}"
        if name in ROLE_OF and isinstance(value, Mapping):
            renamed[name] = _rename_chosen(value, ROLE_OF[name], plugins, inner, notes, problems)
        elif name in NAMES and isinstance(value, str) and value in plugins.aliases[name]:
            renamed[name] = plugins.aliases[name][value]
            notes.append(f"{inner}: '{value}' is called '{renamed[name]}' now")
        else:
            renamed[name] = rename_offers(value, plugins, inner, notes, problems)
    return renamed


def _rename_chosen(
    chosen: Mapping[str, Any],
    role: str,
    plugins: Plugins,
    key: str,
    notes: list[str],
    problems: list[str],
) -> dict[str, Any]:
    aliases = plugins.aliases[role]
    renamed = _rename_names(chosen, aliases, key, notes, problems)
    for name, options in renamed.items():
        named = isinstance(options, Mapping) and role == "reward"  # `reward:` names what it is
        offer = plugins.offers[role].get(options.get("reward", name) if named else name)
        if offer and isinstance(options, Mapping):
            former = offer.description.aliases
            renamed[name] = _rename_names(options, former, f"{key}.{name}", notes, problems)
    return renamed


def _rename_names(
    values: Mapping[str, Any],
    aliases: Mapping[str, str],
    key: str,
    notes: list[str],
    problems: list[str],
) -> dict[str, Any]:
    """Return a mapping with the former names among its keys replaced, in the same order."""
    for name in values:
        if name in aliases and values.get(aliases[name]) is not None:
            both = f"is called '{aliases[name]}' now, and both are given; drop one"
            problems.append(f"{key}.{name}: {both}")
        elif name in aliases:
            notes.append(f"{key}.{name} is called '{aliases[name]}' now")
    return {aliases.get(name, name): value for name, value in values.items()}
