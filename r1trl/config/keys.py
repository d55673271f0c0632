"""Keys of nested values: set, deleted, and referred to by `${key}`.

A mapping that is given as a whole replaces the one before, and of a source's `path` and `dataset`
the one that is given last counts.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from r1trl.config.overrides import Override
from r1trl.errors import ConfigError, suggest

OTHER_ORIGIN = {"path": "dataset", "dataset": "path"}
# An interpolation of a key; of `${a.${b}}`, whose key depends on another, the beginning.
REFERENCE = re.compile(r"(?<!\\)\$\{\s*([^${}:]+?)\.?\s*(?:\}|(?=\$\{))")


def path_in(values: Any, key: str) -> list[str]:
    """Return the parts of a key; a name in `values` that has dots in it is one part."""
    parts, path = key.split("."), list[str]()
    while parts:
        names = values if isinstance(values, Mapping) else ()
        ends = (end for end in range(len(parts), 1, -1) if ".".join(parts[:end]) in names)
        end = next(ends, 1)
        path.append(".".join(parts[:end]))
        values, parts = entry(values, path[-1]), parts[end:]
    return path


def entry(values: Any, name: str) -> Any:
    """Return an entry of a mapping or list; None if there is none."""
    if isinstance(values, Mapping):
        return values.get(name)
    there = isinstance(values, list) and name.isdigit() and int(name) < len(values)
    return values[int(name)] if there else None


def apply(overrides: Iterable[Override], values: dict[str, Any], notes: list[str]) -> list[str]:
    """Set and delete keys in nested values, in place; return what is wrong, extend the notes."""
    problems = []
    for override in overrides:
        try:
            if override.deletes:
                delete_key(values, override.key)
            else:
                notes += set_key(values, override.key, override.value)
        except ConfigError as error:
            problems += error.problems
    return problems


def set_key(values: dict[str, Any], key: str, value: Any) -> Iterator[str]:
    """Set a key in nested mappings and lists, in place; yield a note if entries are left out.

    Raises ConfigError if a list has no such entry.
    """
    *parents, last = path = path_in(values, key)
    node: Any = values
    for part in parents:
        at = _place(node, part, key)
        if not isinstance(entry(node, part), dict | list):
            node[at] = {}
        node = node[at]
    before, node[_place(node, last, key)] = entry(node, last), value
    both = isinstance(before, Mapping) and isinstance(value, Mapping)
    if gone := [str(name) for name in before if name not in value] if both else []:
        yield f"{key} is replaced as a whole, without {', '.join(gone)}"
    if last in OTHER_ORIGIN and value is not None and is_source(path[:-1]):
        node.pop(OTHER_ORIGIN[last], None)


def _place(node: Any, name: str, key: str) -> str | int:
    """Return the key of an entry of a mapping, which it may not have yet, or the index of one."""
    if not isinstance(node, list):
        return name
    if not (name.isdigit() and int(name) < len(node)):
        there = f"the list has {len(node)} entries, counted from 0"
        raise ConfigError([f"{key}: there is no entry '{name}'; {there}"])
    return int(name)


def delete_key(values: dict[str, Any], key: str) -> None:
    """Delete a key in nested mappings, in place; raise ConfigError if there is none."""
    path, node = path_in(values, key), values
    for i, part in enumerate(path):
        if not isinstance(node, dict) or part not in node:
            close = suggest(part, map(str, node)) if isinstance(node, dict) else ""
            raise ConfigError([f"{key}: there is nothing to delete{close}"])
        if i == len(path) - 1:
            del node[part]
        else:
            node = node[part]


def is_new(values: Any, key: str) -> bool:
    """Return True if a key is not there; one of a source or benchmark, if that is not there."""
    parts = key.split(".")
    parts = parts[:2] if parts[0] in ("sources", "benchmarks") else parts
    return not is_there(values, ".".join(parts))


def is_source(path: Sequence[str]) -> bool:
    """Return True if a key is that of a source, of the run or of a stage."""
    if len(path) == 2:
        return path[0] in ("sources", "benchmarks")
    return len(path) == 4 and path[0] == "stages" and path[2] in ("data", "benchmarks")


def leaves(values: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the values in nested mappings and lists, each with its path."""
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(values, Mapping):
        items = values.items()
    elif isinstance(values, list):
        items = enumerate(values)
    else:
        yield path, values
    for name, value in items:
        yield from leaves(value, (*path, str(name)))


def references(values: Any) -> list[tuple[tuple[str, ...], str]]:
    """Return the keys that interpolations refer to, each with the path that it stands at."""
    return [
        (path, _absolute(reference, path))
        for path, value in leaves(values)
        if isinstance(value, str)
        for reference in REFERENCE.findall(value)
    ]


def _absolute(reference: str, path: Sequence[str]) -> str:
    """Return a reference from the root; `.x` is in the mapping that it stands in."""
    bare = reference.lstrip(".")
    up = len(reference) - len(bare)
    return ".".join([*path[: len(path) - up], bare]) if up else bare


def unknown_references(values: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the interpolations of keys that are not there."""
    found = references(values)
    missing = [(path, reference) for path, reference in found if not is_there(values, reference)]
    if not missing:
        return []
    known = {".".join(path[:end]) for path, _ in leaves(values) for end in range(1, len(path) + 1)}
    problems = []
    for path, reference in missing:
        root = reference.partition(".")[0]
        near = [key for key in known if key.partition(".")[0] == root] or known
        close = suggest(reference, near)
        problems.append(f"{'.'.join(path)}: refers to {reference}, which is not there{close}")
    return problems


def is_there(values: Any, key: str) -> bool:
    """Return True if a key is there, or may be, behind an interpolation."""
    for part in path_in(values, key):
        if isinstance(values, str):
            return "${" in values
        if not (isinstance(values, Mapping) and part in values) and entry(values, part) is None:
            return False
        values = entry(values, part)
    return True


def referred_to(values: Mapping[str, Any], roots: Sequence[str]) -> set[str]:
    """Return the keys that are referred to from outside of some mappings, directly or through them.

    `roots` are the names of mappings, and of values, that are only referred to.
    """
    found, reached = references(values), set[str]()
    while True:
        new = {
            reference
            for path, reference in found
            if path[0] not in roots or any(concerns(".".join(path), key) for key in reached)
        }
        if new <= reached:
            return reached
        reached |= new


def concerns(key: str, other: str) -> bool:
    """Return True if one of two keys is the other, or in it."""
    return key == other or key.startswith(f"{other}.") or other.startswith(f"{key}.")
