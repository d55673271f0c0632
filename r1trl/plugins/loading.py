"""Plugins: found as entry points, modules or files, asked once, and never skipped in silence."""

import functools
import hashlib
import importlib
import importlib.util
import itertools
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from r1trl import hookspecs
from r1trl.errors import ConfigError, raised, unknown
from r1trl.kind import Kind
from r1trl.plugins.hooks import collect_offers, misspelt_hooks
from r1trl.plugins.offer import Offer
from r1trl.process.guard import undisturbed

GROUP = "r1trl"
CORE = "r1trl"  # its conf/ is the shipped one, not a plugin's
FILE_MODULE = "r1trl_file_"  # the beginning of the name of a module that is one file


@dataclass(frozen=True)
class Plugins:
    """All plugins of a run and what they offer, by role and name.

    `aliases` maps a role's former names to today's. `extra` and `block` are what `load` got.
    """

    manager: pluggy.PluginManager
    offers: Mapping[str, Mapping[str, Offer]] = field(default_factory=dict)
    aliases: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    extra: Sequence[str] = ()
    block: Sequence[str] = ()

    def find(self, role: str, name: str) -> Offer:
        """Return the offer of that role and name; raise ConfigError with what there is."""
        if name not in self.offers[role]:
            raise ConfigError([unknown(role, name, self.offers[role])])
        return self.offers[role][name]

    def kind(self, name: str) -> Kind:
        """Return a kind of stage; raise ConfigError with what there is."""
        kind: Kind = self.find("kind", name).target
        return kind


def load(extra: Iterable[str] = (), block: Iterable[str] = ()) -> Plugins:
    """Load the installed plugins but those blocked, then the modules and files in `extra`.

    Raises ConfigError with every plugin that cannot be loaded, every misspelt hook and every name
    that two plugins offer.
    """
    extra, block = tuple(extra), tuple(block)
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
            label = f"plugin '{name}' ({_package(entry)})"
            problems += _register(manager, name, label, entry.load)
    for what in extra:
        problems += _register(
            manager, what, f"plugins.load: '{what}'", functools.partial(_import, what)
        )
    problems += misspelt_hooks(manager)
    offers, aliases, clashes = collect_offers(manager)
    if problems or clashes:
        raise ConfigError(problems + clashes)
    return Plugins(manager, offers, aliases, extra, block)


def config_folders(extra: Iterable[str] = (), block: Iterable[str] = ()) -> list[Path]:
    """Return the `conf/` folders of plugin packages, which join Hydra's search path.

    Those of the installed plugins but the blocked ones, then of the modules in `extra`. A plugin
    that is one file has none. No plugin is executed, only parents of nested modules.
    """
    blocked = set(block)
    installed = [e.module for e in entry_points(group=GROUP) if e.name not in blocked]
    folders: dict[Path, None] = {}
    for module in [*sorted(installed), *(name for name in extra if not name.endswith(".py"))]:
        parts = module.split(".")
        for end in range(1, len(parts) + 1):
            package = ".".join(parts[:end])
            with suppress(ModuleNotFoundError, ValueError):  # `load` says what is missing
                spec = importlib.util.find_spec(package)
                for folder in (spec.submodule_search_locations if spec else None) or ():
                    if package != CORE and (Path(folder) / "conf").is_dir():
                        folders[Path(folder) / "conf"] = None
    return list(folders)


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value


def _register(
    manager: pluggy.PluginManager, name: str, label: str, find: Callable[[], Any]
) -> list[str]:
    try:
        with undisturbed(label):
            plugin = find()
        if manager.is_registered(plugin):
            return []
        manager.register(plugin, name=name)
    except pluggy.PluginValidationError as error:
        return [f"{label} has a hook that does not fit: {error}"]
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a module raises is the reason
        return [f"{label} cannot be imported: {raised(error)}"]
    return []


def _import(what: str) -> ModuleType:
    """Import a module by name, or a file by path."""
    if not what.endswith(".py"):
        return importlib.import_module(what)
    path = Path(what).expanduser().resolve()
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    name = f"{FILE_MODULE}{path.stem}_{hashlib.sha256(bytes(path)).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    sys.modules[name] = module
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    return module
