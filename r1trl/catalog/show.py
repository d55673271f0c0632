"""`r1trl show`: the values of a composed run, where they are from, and the defaults behind."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from r1trl.arguments.check import FIELDS
from r1trl.arguments.source import defaults as trl_defaults
from r1trl.arguments.source import fields as trl_fields
from r1trl.catalog.origins import Origins
from r1trl.config.checked import Composed
from r1trl.config.compose import compose
from r1trl.config.keys import path_in
from r1trl.errors import ConfigError, suggest
from r1trl.plan.details import shown
from r1trl.process.environment import masked
from r1trl.report.tables import aligned

WHOLE_REFERENCE = re.compile(r"\$\{\s*([^${}:]+?)\s*\}")
HEAD = ["key", "value", "from"]
Path_ = tuple[str, ...]
Row = list[str]


def show(
    words: Sequence[str], own: Path | None, *, as_yaml: bool = False, defaults: bool = False
) -> str:
    """Return a composed run as a table of keys, values and origins, or as YAML.

    Of `words`, those without `=` and `~` are the keys of parts to show; the others are overrides.
    `defaults` adds what nothing sets. Raises ConfigError if the run cannot be composed, or has no
    such part.
    """
    parts = [word for word in words if "=" not in word and not word.startswith("~")]
    overrides = [word for word in words if word not in parts]
    composed = compose(overrides, own)
    values: Any = yaml.safe_load(composed.text)
    if as_yaml and not parts:
        return composed.text.rstrip()
    everything = masked(asdict(composed.config))
    wrong = [line for part in parts for line in _unknown(part, values, everything)]
    if wrong:
        raise ConfigError(wrong)
    if as_yaml:
        chosen = _only(values, parts)
        return str(yaml.safe_dump(chosen, sort_keys=False, allow_unicode=True)).rstrip()
    rows = list(_rows(composed, values, everything, Origins(overrides, own, composed)))
    if defaults:
        rows += _unset(composed, values, everything)
    rows = [row for row in rows if not parts or any(_is_in(row[0], part) for part in parts)]
    return aligned([HEAD, *rows])


def _rows(composed: Composed, values: Any, everything: Any, origins: Origins) -> Iterator[Row]:
    """Yield a row for each value that a file or an override sets."""
    args = {key: default for key, default, _ in _args(composed)}
    for path, value in _leaves(values):
        key, final = ".".join(path), _at(everything, path, value)
        reached = [" <- ".join([origins.of(path), *_behind(value, values, origins)])]
        if key in args:
            reached.append(_beside(final, args[key]))
        elif path[2:3] == ("data",) and value != final:
            reached.append(f"the rest: sources.{path[-1]}")
        yield [key, shown(final), ", ".join(reached)]


def _behind(value: Any, values: Any, origins: Origins) -> Iterator[str]:
    """Yield the references that lead to a value, each with the place it is from."""
    while isinstance(value, str) and (match := WHOLE_REFERENCE.fullmatch(value)):
        path = tuple(path_in(values, match[1]))
        place = origins.of(path)
        yield f"{match[1]} ({place})" if place else match[1]
        value = _at(values, path, None)


def _unset(composed: Composed, values: Any, everything: Any) -> Iterator[Row]:
    """Yield a row for each key that nothing sets: r1trl's default, or TRL's of an argument."""
    there = {path for path, _ in _leaves(values)}
    given = {path[:end] for path in there for end in range(1, len(path) + 1)}
    for path, value in _leaves(everything):
        if not any(path[:end] in there for end in range(1, len(path) + 1)) and path not in given:
            yield [".".join(path), shown(value), "r1trl's default"]
    for key, default, refused in _args(composed):
        if tuple(path_in(values, key)) not in given:
            yield [key, "" if refused else shown(default), refused or "TRL's default"]


def _args(composed: Composed) -> Iterator[tuple[str, Any, str]]:
    """Yield each argument of each training stage: its key, TRL's default, why it is not to be set.

    The reason is empty for an argument that may be set.
    """
    for name, stage in composed.config.stages.items():
        kind = composed.plugins.kind(stage.kind)
        if kind.trl_config is None:
            continue
        known, table = trl_defaults(kind.trl_config), {**FIELDS, **kind.fields}
        for field in trl_fields(kind.trl_config):
            about = table.get(field)
            refused = about.reason if about and about.verdict == "refused" else ""
            yield f"stages.{name}.args.{field}", known.get(field, COMPUTED), refused


class _Computed:
    """A default that TRL's source does not write as a plain value."""

    def __str__(self) -> str:
        return "computed"


COMPUTED = _Computed()


def _beside(value: Any, default: Any) -> str:
    same = type(default) is not _Computed and value == default
    return "TRL's default too" if same else f"TRL's default: {shown(default)}"


def _leaves(values: Any, path: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    """Yield the values in nested mappings, each with its path; a list, or {}, is one value."""
    if not isinstance(values, Mapping) or not values:
        yield path, values
        return
    for name, value in values.items():
        yield from _leaves(value, (*path, str(name)))


def _at(values: Any, path: Sequence[str], otherwise: Any) -> Any:
    """Return the value at a path; `otherwise` if there is none."""
    for part in path:
        if not isinstance(values, Mapping) or part not in values:
            return otherwise
        values = values[part]
    return values


def _is_in(key: str, part: str) -> bool:
    return key == part or key.startswith(f"{part}.")


def _unknown(part: str, values: Any, everything: Any) -> Iterator[str]:
    """Yield why a part cannot be shown, if there is none."""
    missing = object()
    if any(_at(each, path_in(each, part), missing) is not missing for each in (values, everything)):
        return
    known = {".".join(p[:end]) for p, _ in _leaves(values) for end in range(1, len(p) + 1)}
    yield f"{part}: there is no such part{suggest(part, known)}; an override is key=value"


def _only(values: Any, parts: Sequence[str]) -> dict[str, Any]:
    """Return nested values without what is in none of the parts."""
    kept: dict[str, Any] = {}
    for part in parts:
        node, path = kept, path_in(values, part)
        for name in path[:-1]:
            node = node.setdefault(name, {})
        node[path[-1]] = _at(values, path, None)
    return kept
