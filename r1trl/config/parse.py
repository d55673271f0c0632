"""Nested mappings into configs: every key known, every value of its type, former names renamed."""

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any

from r1trl.config.schema import REQUIRED
from r1trl.config.values import convert
from r1trl.errors import suggest

INVALID: Any = object()


def rename_keys(
    class_: Any, values: Mapping[str, Any], key: str = ""
) -> tuple[dict[str, Any], list[str], list[str]]:
    """Return nested values with former names of keys replaced; then notes, then problems.

    `key` is put before the names in messages, with its dot. Raises nothing: keys that `class_` does
    not have stay as they are, for `parse` to report.
    """
    aliases = aliases_of(class_)
    renamed: dict[str, Any] = {}
    notes: list[str] = []
    problems: list[str] = []
    for name, value in values.items():
        new = aliases.get(name, name)
        if new != name and values.get(new) is not None:
            problems.append(f"{key}{name}: is called '{new}' now, and both are given; drop one")
        elif new != name:
            notes.append(f"{key}{name} is called '{new}' now")
        inner, is_mapping = config_in(class_, new)
        if isinstance(value, Mapping) and inner and is_mapping:
            items = {n: (inner, v, f"{key}{new}.{n}.") for n, v in value.items()}
            value = {n: _nested(*item, notes, problems) for n, item in items.items()}
        elif inner:
            value = _nested(inner, value, f"{key}{new}.", notes, problems)
        renamed[new] = value
    return renamed, notes, problems


def aliases_of(class_: Any) -> dict[str, str]:
    """Return the former names of a config's keys that are still accepted, and today's."""
    fields = dataclasses.fields(class_)
    return {f.metadata["alias"]: f.name for f in fields if "alias" in f.metadata}


def config_in(class_: Any, name: str) -> tuple[Any, bool]:
    """Return the config class of a field, or None; and True if it is a mapping from names to it."""
    return _config_in(typing.get_type_hints(class_).get(name))


def _nested(class_: Any, value: Any, key: str, notes: list[str], problems: list[str]) -> Any:
    if not isinstance(value, Mapping):
        return value
    renamed, more_notes, more_problems = rename_keys(class_, value, key)
    notes += more_notes
    problems += more_problems
    return renamed


def _config_in(hint: Any) -> tuple[Any, bool]:
    """Return the config class in a type hint, or None; and True for a mapping from names to it."""
    options = (hint, *typing.get_args(hint))
    inner = next((o for o in options if dataclasses.is_dataclass(o)), None)
    return inner, typing.get_origin(hint) is dict


def parse(class_: Any, values: Mapping[str, Any], key: str = "") -> tuple[Any, list[str]]:
    """Return a config made of nested mappings, and every problem, each with its key.

    What is wrong keeps its default. `key` is put before the names in messages, with its dot.
    """
    hints = typing.get_type_hints(class_)
    fields = {f.name: f for f in dataclasses.fields(class_)}
    parsed: dict[str, Any] = {}
    problems: list[str] = []
    wrong: set[str] = set()
    for name, value in values.items():
        if name not in fields:
            problems.append(f"{key}{name}: {_unknown(name, fields)}")
            continue
        if value is None and dataclasses.is_dataclass(hints[name]):
            continue
        item, more = _parse_value(hints[name], value, f"{key}{name}")
        problems += more
        if item is INVALID:
            wrong.add(name)
        else:
            parsed[name] = item
    required = [
        n for n, f in fields.items() if isinstance(f.default, str) and f.default == REQUIRED
    ]
    problems += [
        f"{key}{name}: must be given"
        for name in required
        if name not in wrong and parsed.get(name, REQUIRED) in (REQUIRED, None)
    ]
    return class_(**parsed), sorted(problems)


def _unknown(name: str, fields: Mapping[str, Any]) -> str:
    """Say that there is no such key, and what is possible."""
    now = next((n for n, f in fields.items() if f.metadata.get("formerly") == name), None)
    hint = f"; it is called '{now}' now" if now else suggest(name, fields)
    return f"there is no such key{hint}; there are: {', '.join(sorted(fields))}"


def _parse_value(hint: Any, value: Any, key: str) -> tuple[Any, list[str]]:
    """Return one value, a config or a mapping of configs among others; INVALID if it is none."""
    inner, is_mapping = _config_in(hint)
    if inner is None or value is None:
        try:
            return convert(value, hint), []
        except ValueError as error:
            return INVALID, [f"{key}: {error}"]
    if not isinstance(value, Mapping):
        return INVALID, [f"{key}: value '{value}' is not a mapping"]
    if not is_mapping:
        return parse(inner, value, f"{key}.")
    parsed: dict[str, Any] = {}
    problems: list[str] = []
    for name, entry in value.items():
        if entry is not None:
            item, more = _parse_value(inner, entry, f"{key}.{name}")
            problems += more
            parsed |= {name: item} if item is not INVALID else {}
    return parsed, problems
