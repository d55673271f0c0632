"""Where the values of a composed run are from: the file and line, or the override.

Hydra says which files it merges, in which order and at which keys; they are read here once more,
for their lines.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from r1trl.catalog.listing import options_of, place
from r1trl.config.aliases import rename_key
from r1trl.config.checked import Composed
from r1trl.config.compose import conf_folder, hydra_overrides, named_plugins, search_path
from r1trl.config.overrides import Override, read_all, split
from r1trl.config.parse import Renaming

DEFAULTS = "defaults"
Lines = dict[str, Any]  # nested as the values are; a leaf is the place that its value is from


class Origins:
    """The places that a run's values are from, by their keys."""

    def __init__(self, overrides: Sequence[str], own: Path | None, composed: Composed) -> None:
        read = read_all(overrides)
        folders = search_path(*named_plugins(read), own)
        groups, keys = split(read, folders)
        given = [o for o in keys if not o.deletes]
        self.overrides = [(rename_key(o.key, composed.plugins, Renaming()), o) for o in given]
        self.lines: Lines = {}
        for file, key in merged_files(groups, folders):
            lines = lines_of(file)
            for part in reversed(list(filter(None, key.split(".")))):
                lines = {part: lines}
            _merge(self.lines, lines)

    def of(self, path: Sequence[str]) -> str:
        """Return the place that a value is from: an override, a file and its line, or r1trl."""
        key = ".".join(path)
        for name, override in reversed(self.overrides):
            if key == name or key.startswith(f"{name}."):
                return f"override {override.text}"
        node: Any = {} if key == "name" else self.lines  # that of a run says its recipe and scale
        for part in path:
            node = node.get(part) if isinstance(node, dict) else None
        return node if isinstance(node, str) else "r1trl"


def merged_files(groups: Sequence[Override], folders: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Yield the files that Hydra merges, in order, each with the key it is mounted at."""
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.types import RunMode

    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        given = hydra_overrides(groups, folders)
        merged = loader.compute_defaults_list("config", given, RunMode.RUN).defaults
    for each in merged:
        if each.config_path is None or each.config_path.partition("/")[0] == "hydra":
            continue
        group, _, name = each.config_path.rpartition("/")
        yield options_of(folders, group)[name], each.package or ""


def lines_of(file: Path) -> Lines:
    """Return the places of a file's values: file and line. A list is one value."""
    loader = yaml.SafeLoader(file.read_text(encoding="utf-8"))
    try:
        node = loader.get_single_node()
        found = _lines(loader, node, str(place(file))) if node else {}
    finally:
        loader.dispose()
    found = found if isinstance(found, dict) else {}
    found.pop(DEFAULTS, None)
    return found


def _lines(loader: Any, node: yaml.Node, file: str) -> Lines | str:
    if not isinstance(node, yaml.MappingNode) or not node.value:
        return f"{file}:{node.start_mark.line + 1}"
    loader.flatten_mapping(node)  # `<<: *name` becomes what stands there
    return {str(key.value): _lines(loader, value, file) for key, value in node.value}


def _merge(lines: Lines, later: Lines) -> None:
    """Put the lines of a later file over earlier ones, in place, as Hydra merges values."""
    for name, each in later.items():
        before = lines.get(name)
        if isinstance(before, dict) and isinstance(each, dict):
            _merge(before, each)
        else:
            lines[name] = each
