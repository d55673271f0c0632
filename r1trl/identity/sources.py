"""The source of the plugins that a stage uses: which packages they are of, and their digests."""

import inspect
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from r1trl.plugins.loading import CORE, FILE_MODULE, Plugins
from r1trl.plugins.offer import Offer, offered_name
from r1trl.storage.digests import Digests, digest_of, files_in


def offers_of(kind: str, settings: Mapping[str, Any], plugins: Plugins) -> Iterator[Offer]:
    """Yield what a stage picks from plugins: its kind, rewards, filters, samplers and so on."""
    yield plugins.find("kind", kind)
    yield from _offers(settings, plugins)


def _offers(settings: Any, plugins: Plugins) -> Iterator[Offer]:
    """Yield what settings pick, and the settings in them, such as a source among the options."""
    if isinstance(settings, list):
        for each in settings:
            yield from _offers(each, plugins)
    if not isinstance(settings, Mapping):
        return
    for role in ("reward", "filter", "sampler", "transition", "variant"):
        chosen = settings.get(f"{role}s")
        for name, options in chosen.items() if isinstance(chosen, Mapping) else ():
            offered = offered_name(role, name, options)
            if options is not None and offered in plugins.offers[role]:
                yield plugins.offers[role][offered]
    dataset = settings.get("dataset")
    if isinstance(dataset, str) and dataset in plugins.offers["dataset"]:
        yield plugins.offers["dataset"][dataset]
    for each in settings.values():
        yield from _offers(each, plugins)


@dataclass
class Sources:
    """The digests of the packages of a run's plugins, each computed once."""

    plugins: Plugins
    digests: Digests
    known: dict[str, str] = field(default_factory=dict)

    def of(self, kind: str, settings: Mapping[str, Any]) -> dict[str, str]:
        """Return the digest of every package that a stage uses, by its name."""
        found: dict[str, str] = {}
        for plugin in dict.fromkeys(o.plugin for o in offers_of(kind, settings, self.plugins)):
            name, files = source_of(self.plugins.manager.get_plugin(plugin))
            if plugin not in self.known:
                self.known[plugin] = digest_of(self.digests.of_files(files))
            both = name in found and found[name] != self.known[plugin]
            found[name] = (
                digest_of([found[name], self.known[plugin]]) if both else self.known[plugin]
            )
        return dict(sorted(found.items()))


def source_of(plugin: Any) -> tuple[str, dict[str, Path]]:
    """Return the name of a plugin's package or file, and the files of its source by their names.

    The source is all of the package, with the data in it, but conf/, which reaches a stage by its
    settings. Of the core it is the plugin's own folder: the core is known by its version.
    """
    module = plugin if isinstance(plugin, ModuleType) else inspect.getmodule(plugin)
    module = module or sys.modules[type(plugin).__module__]
    file = Path(str(module.__file__))
    if module.__name__.startswith(FILE_MODULE):
        return file.name, {file.name: file}
    parts = module.__name__.split(".")
    whole = range(len(parts) if parts[0] == CORE else 1, len(parts) + 1)
    for end in whole:
        package = sys.modules[".".join(parts[:end])]
        if Path(str(package.__file__)).name == "__init__.py":
            return package.__name__, _files(Path(str(package.__file__)).parent)
    beside = {p.name: p for p in sorted(file.parent.glob("*.py"))} if len(parts) > 1 else {}
    return module.__name__, {file.name: file, **({} if parts[0] == CORE else beside)}


def _files(package: Path) -> dict[str, Path]:
    files = files_in(package)
    return {
        name: path
        for name, path in files.items()
        if "__pycache__" not in path.parts and name.partition("/")[0] != "conf"
    }
