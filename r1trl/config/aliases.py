"""Former names of what plugins offer, and of its options, replaced by today's, with a note each."""

from collections.abc import Mapping
from typing import Any

from r1trl.plugins.loading import Plugins

ROLE_OF = {
    "rewards": "reward",
    "filters": "filter",
    "samplers": "sampler",
    "transitions": "transition",
}


def rename_offers(values: Any, plugins: Plugins, key: str, notes: list[str]) -> Any:
    """Return nested values with former names replaced in every mapping of offers; extend `notes`.

    Mappings of offers are those under the keys of ROLE_OF, wherever they stand; their order is
    kept. `key` is the key of `values`.
    """
    if not isinstance(values, Mapping):
        return values
    renamed = {}
    for name, value in values.items():
        inner = f"{key}.{name}"
        if name in ROLE_OF and isinstance(value, Mapping):
            renamed[name] = _rename_chosen(value, ROLE_OF[name], plugins, inner, notes)
        else:
            renamed[name] = rename_offers(value, plugins, inner, notes)
    return renamed


def _rename_chosen(
    chosen: Mapping[str, Any], role: str, plugins: Plugins, key: str, notes: list[str]
) -> dict[str, Any]:
    renamed = {}
    for name, options in chosen.items():
        new = plugins.aliases[role].get(name, name)
        if new != name:
            notes.append(f"{key}.{name} is called '{new}' now")
        named = isinstance(options, Mapping) and role == "reward"  # `reward:` names what it is
        target = options.get("reward", new) if named else new
        offer = plugins.offers[role].get(target)
        if offer and isinstance(options, Mapping):
            aliases = offer.description.aliases
            notes += [
                f"{key}.{name}.{option} is called '{aliases[option]}' now"
                for option in options
                if option in aliases
            ]
            options = {aliases.get(option, option): value for option, value in options.items()}
        renamed[new] = options
    return renamed
