"""Plugins: found as entry points, modules or files, asked once, and never skipped in silence."""

import functools
import hashlib
import importlib
import importlib.util
import inspect
import itertools
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from r1trl import hookspecs
from r1trl.errors import ConfigError, suggest, unknown
from r1trl.plugins.offer import Offer
from r1trl.types import KINDS

HOOK_OF = {kind: f"r1trl_{kind}s" for kind in KINDS}
GROUP = "r1trl"


@dataclass(frozen=True)
class Plugins:
    """All plugins of a run and what they offer."""

    manager: pluggy.PluginManager
    offers: Mapping[str, Mapping[str, Offer]] = field(default_factory=dict)

    def find(self, kind: str, name: str) -> Offer:
        """Return the offer of that kind and name; raise ConfigError with what there is."""
        if name not in self.offers[kind]:
            raise ConfigError([unknown(kind, name, self.offers[kind])])
        return self.offers[kind][name]


def load(extra: Iterable[str] = (), block: Iterable[str] = ()) -> Plugins:
    """Load the installed plugins but those blocked, then the modules and files in `extra`.

    Raises ConfigError with every plugin that cannot be loaded, every misspelt hook and every name
    that two plugins offer.
    """
    manager = pluggy.PluginManager("r1trl")
    manager.add_hookspecs(hookspecs)
    blocked, problems = set(block), []
    entries = sorted(entry_points(group=GROUP), key=lambda entry: entry.name)
    installed = {entry.name: entry for entry in entries}
    problems += [
        f"two installed packages have a plugin called '{one.name}': {_package(one)} and "
        f"{_package(other)}; uninstall one"
        for one, other in itertools.pairwise(entries)
        if one.name == other.name
    ]
    problems += [
        f"plugins.block: {unknown('installed plugin', name, installed)}"
        for name in sorted(blocked - set(installed))
    ]
    for name, entry in installed.items():
        if name not in blocked:
            where = f"plugin '{name}' ({_package(entry)})"
            problems += _register(manager, name, where, entry.load)
    for what in extra:
        problems += _register(
            manager, what, f"plugins.load: '{what}'", functools.partial(_import, what)
        )
    problems += _misspelt(manager)
    offers, clashes = _offers(manager)
    if problems or clashes:
        raise ConfigError(problems + clashes)
    return Plugins(manager, offers)


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value


def _register(
    manager: pluggy.PluginManager, name: str, where: str, find: Callable[[], Any]
) -> list[str]:
    try:
        plugin = find()
        if manager.is_registered(plugin):
            return []
        manager.register(plugin, name=name)
    except pluggy.PluginValidationError as error:
        return [f"{where} has a hook that does not fit: {error}"]
    except Exception as error:  # noqa: BLE001 - whatever a module raises is the reason
        return [f"{where} cannot be imported: {type(error).__name__}: {error}"]
    return []


def _import(what: str) -> ModuleType:
    """Import a module by name, or a file by path."""
    if not what.endswith(".py"):
        return importlib.import_module(what)
    path = Path(what).expanduser().resolve()
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    name = f"r1trl_file_{path.stem}_{hashlib.sha256(bytes(path)).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    sys.modules[name] = module
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    return module


def _misspelt(manager: pluggy.PluginManager) -> list[str]:
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


def _offers(manager: pluggy.PluginManager) -> tuple[dict[str, dict[str, Offer]], list[str]]:
    offers: dict[str, dict[str, Offer]] = {kind: {} for kind in KINDS}
    problems = []
    for kind, hook in HOOK_OF.items():
        for implementation in getattr(manager.hook, hook).get_hookimpls():
            try:
                offered = dict(implementation.function())
            except Exception as error:  # noqa: BLE001 - whatever a hook raises is the reason
                problems.append(
                    f"plugin '{implementation.plugin_name}': {hook} returned no mapping of names: "
                    f"{type(error).__name__}: {error}"
                )
                continue
            for name, what in offered.items():
                offer = Offer(kind, name, implementation.plugin_name, what)
                other = offers[kind].setdefault(name, offer)
                if other is not offer:
                    problems.append(
                        f"two plugins offer a {kind} called '{name}': {other.plugin} and "
                        f"{offer.plugin}; block one with plugins.block=[…]"
                    )
    return offers, problems
