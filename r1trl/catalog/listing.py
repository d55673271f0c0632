"""`r1trl list`: what a run may be put together from, by name, with where it is from."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from r1trl.config.compose import conf_folder, search_path
from r1trl.config.kinds import load_plugins
from r1trl.config.overrides import CHOSEN
from r1trl.errors import ConfigError, unknown
from r1trl.report.tables import aligned
from r1trl.types import ROLES

PLURALS = {"launch": "launches", "hardware": "hardware"}
OF_ROLES = {
    "reward": "stages.<stage>.rewards.NAME={}",
    "filter": "stages.<stage>.filters.NAME={}, sources.<source>.filters.NAME={}",
    "sampler": "stages.<stage>.samplers.NAME={}",
    "transition": "stages.<stage>.transitions.NAME={}",
    "dataset": "sources.<source>.dataset=NAME",
    "kind": "stages.<stage>.kind=NAME",
    "variant": "sources.<source>.variants.NAME={}, stages.<stage>.variants.NAME={}",
    "tracker": "trackers.NAME={}",
}
SENTENCE = re.compile(r".{12,}?[.?!](?=\s|$)")  # not one that "Dr." ends


@dataclass(frozen=True)
class Entry:
    """Something to choose: its name, the folder or plugin that it is from, what it is."""

    name: str
    origin: str
    summary: str


@dataclass
class Listing:
    """Things of one sort; `chosen` are the overrides that choose one."""

    chosen: list[str] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)


def listing(what: str | None, load: Sequence[str], own: Path | None) -> str:
    """Return the names of one sort with where they are from, or what can be listed.

    `load` are plugins besides the installed ones, `own` is a folder of the user's configs. Raises
    ConfigError if there is no such sort.
    """
    found = listings(load, own)
    if what is None:
        rows = [[n, str(len(each.entries)), "; ".join(each.chosen)] for n, each in found.items()]
        return aligned([["what", "there are", "chosen by"], *rows])
    name = plural(what)
    if name not in found:
        raise ConfigError([unknown("list", what, found)])
    entries = sorted(found[name].entries, key=lambda entry: entry.name)
    return aligned([[e.name, e.origin, e.summary] for e in entries] or [["none"]])


def listings(load: Sequence[str], own: Path | None) -> dict[str, Listing]:
    """Return everything that can be chosen, by sort: groups of configs, and what plugins offer."""
    found: dict[str, Listing] = {}
    folders = search_path(load, (), own)
    for group in groups_of(folders):
        each = found.setdefault(plural(group), Listing())
        each.chosen.append(f"{group}=NAME")
        each.entries += _configs(folders, group)
    offers = load_plugins(load).offers
    for role in ROLES:
        each = found.setdefault(plural(role), Listing())
        each.chosen.append(OF_ROLES[role])
        each.entries += [
            Entry(name, f"plugin {offer.plugin}", offer.summary)
            for name, offer in offers[role].items()
        ]
    return found


def groups_of(folders: Iterable[Path]) -> list[str]:
    """Return the groups of configs that are chosen by name: r1trl's, then those of other folders.

    Groups that only recipes put together are left out.
    """
    shipped, *others = folders
    parts = {path.name for path in shipped.iterdir() if path.is_dir()}
    own = {path.name for folder in others for path in folder.iterdir() if path.is_dir()}
    return [*CHOSEN, *sorted(own - parts)]


def options_of(folders: Iterable[Path], group: str) -> dict[str, Path]:
    """Return the files of a group of configs by the names of its options."""
    return {
        str(file.relative_to(folder / group).with_suffix("")): file
        for folder in folders
        for file in sorted((folder / group).rglob("*.yaml"))
    }


def _configs(folders: Sequence[Path], group: str) -> list[Entry]:
    return [
        Entry(name, str(place(file).parent), _first_sentence(file))
        for name, file in options_of(folders, group).items()
    ]


def place(file: Path) -> Path:
    """Return a config's file as it is shown: from `conf/` on, or from the current folder."""
    for folder in (conf_folder().parent, Path.cwd()):
        if file.is_relative_to(folder):
            return file.relative_to(folder)
    return file


def _first_sentence(file: Path) -> str:
    """Return the first sentence of the comment that a config begins with; empty if it has none."""
    words = list[str]()
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith("# @package"):
            continue
        if not line.startswith("#"):
            break
        words.append(line.lstrip("# "))
    text = " ".join(words)
    match = SENTENCE.match(text)
    return match[0] if match else text


def plural(word: str) -> str:
    """Return the name of a list, also by the name of one thing in it."""
    return PLURALS.get(word, word if word.endswith("s") else f"{word}s")
