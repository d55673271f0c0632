"""The hooks of loaded plugins: what they offer, collected, and what is wrong with them."""

import inspect
from collections.abc import Mapping
from typing import Any

import pluggy

from r1trl import hookspecs
from r1trl.errors import errors_named, raised, suggest
from r1trl.kind import Kind
from r1trl.plugins.offer import Offer
from r1trl.process.guard import undisturbed
from r1trl.types import ROLES

HOOK_OF = {role: f"r1trl_{role}s" for role in ROLES}
Offers = dict[str, dict[str, Offer]]
Aliases = dict[str, dict[str, str]]


def misspelt_hooks(manager: pluggy.PluginManager) -> list[str]:
    """Name every function that looks like a hook but is none, or that lacks the decorator."""
    known = [name for name in vars(hookspecs) if name.startswith("r1trl_")]
    problems = []
    for name, plugin in manager.list_name_plugin():
        hooks = {hook.name for hook in manager.get_hookcallers(plugin) or ()}
        file = getattr(plugin, "__file__", "")
        for attribute, value in list(vars(plugin).items()):
            if not attribute.startswith("r1trl_") or not inspect.isfunction(value):
                continue
            if attribute not in known:
                problems.append(
                    f"plugin '{name}' ({file}): r1trl has no hook '{attribute}'"
                    f"{suggest(attribute, known)}"
                )
            elif attribute not in hooks:
                problems.append(
                    f"plugin '{name}' ({file}): '{attribute}' needs the decorator @r1trl.hookimpl"
                )
    return problems


def collect_offers(manager: pluggy.PluginManager) -> tuple[Offers, Aliases, list[str]]:
    """Call every offering hook; return the offers, former names, and what is wrong."""
    offers: Offers = {role: {} for role in ROLES}
    aliases: Aliases = {role: {} for role in ROLES}
    problems = []
    for role, hook in HOOK_OF.items():
        for implementation in getattr(manager.hook, hook).get_hookimpls():
            plugin = implementation.plugin_name
            try:
                with undisturbed(f"plugin '{plugin}': {hook}"):
                    offered = implementation.function()
            except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it raises is the reason
                problems.append(f"plugin '{plugin}': {hook} failed: {raised(error)}")
                continue
            if not isinstance(offered, Mapping):
                returned = f"returned {type(offered).__name__}"
                problems.append(f"plugin '{plugin}': {hook} {returned}; it returns a mapping")
                continue
            for name, target in offered.items():
                if isinstance(target, str):
                    aliases[role][name] = target
                    problems += _dangling(role, name, target, offered, plugin)
                    continue
                problems += _misfit(role, name, target, plugin)
                offer = Offer(role, name, plugin, target)
                other = offers[role].setdefault(name, offer)
                if other is not offer:
                    problems.append(
                        f"two plugins offer a {role} called '{name}': {other.plugin} and "
                        f"{plugin}; block one with plugins.block=[…]"
                    )
    return offers, aliases, problems


def notify(manager: pluggy.PluginManager, hook: str, key: str, **arguments: Any) -> None:
    """Call a hook of every plugin; `key` is the stage's.

    Raises StageError with the plugin and the hook if one fails.
    """
    plugins = {
        each.plugin_name: each.plugin for each in getattr(manager.hook, hook).get_hookimpls()
    }
    for name in reversed(plugins):  # as pluggy does: the last one first
        others = [plugin for other, plugin in plugins.items() if other != name]
        with errors_named(f"{key}: plugin '{name}': {hook}"):
            manager.subset_hook_caller(hook, others)(**arguments)


def _misfit(role: str, name: str, target: Any, plugin: str) -> list[str]:
    """Return why something cannot be what its hook offers."""
    at = f"plugin '{plugin}': {HOOK_OF[role]}"
    fits = isinstance(target, Kind) if role == "kind" else callable(target)
    wanted = "an r1trl.Kind" if role == "kind" else "a function or a class"
    if not isinstance(name, str):
        return [f"{at} offers something under {name!r}; a name is a text"]
    if not fits:
        return [f"{at} offers '{name}' as {type(target).__name__}; a {role} is {wanted}"]
    offer = Offer(role, name, plugin, target)
    return [
        f"{at}: the alias '{old}' of {role} '{name}' names the option '{new}', which it has not"
        for old, new in offer.description.aliases.items()
        if new not in offer.options
    ]


def _dangling(
    role: str, name: str, target: str, offered: Mapping[str, Any], plugin: str
) -> list[str]:
    """Return why an alias does not name another offer of the same hook."""
    if callable(offered.get(target)) or isinstance(offered.get(target), Kind):
        return []
    return [
        f"plugin '{plugin}': {HOOK_OF[role]}: the alias '{name}' names '{target}', which the hook "
        "does not offer"
    ]
