"""Nested mappings into configs: every key known, every value possible, former names renamed."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from r1trl.config.schema import REQUIRED
from r1trl.errors import suggest
from r1trl.fields import Field
from r1trl.plugins.values import convert

INVALID: Any = object()


@dataclass
class Renaming:
    """What replacing former names has come to: notes for the user; keys given on the command line.

    If a mapping has an old name and its new one, the old one was written in a file of the user's,
    over a shipped file with the new one: its value counts, unless the command line gives another,
    of one entry or of the whole mapping.
    """

    notes: list[str] = field(default_factory=list)
    given: set[str] = field(default_factory=set)

    def keys(
        self, values: Mapping[str, Any], aliases: Mapping[str, str], key: str
    ) -> dict[str, Any]:
        """Return a mapping with former names among its keys replaced, in the same order.

        `aliases` maps them to today's; `key` is put before the names in notes, with its dot.
        """
        renamed: dict[str, Any] = {}
        for name, value in values.items():
            new = aliases.get(name, name)
            if new != name:
                self.notes.append(f"{key}{name} is called '{new}' now")
                if new in values:
                    value = self._merge(values[new], value, f"{key}{new}")
            elif any(aliases.get(old) == name for old in values):
                continue  # the old name brings the merged value
            renamed[new] = value
        return renamed

    def _merge(self, shipped: Any, own: Any, key: str) -> Any:
        """Return a value of a file of the user's over a shipped one, the command line over both."""
        if key in self.given:
            return shipped
        if isinstance(shipped, Mapping) and isinstance(own, Mapping):
            inner = {n: self._merge(shipped.get(n), own[n], f"{key}.{n}") for n in own}
            given = {n: v for n, v in shipped.items() if f"{key}.{n}" in self.given}
            return {**shipped, **inner, **given}
        return own


def rename_keys(
    class_: Any, values: Mapping[str, Any], key: str, renaming: Renaming
) -> dict[str, Any]:
    """Return nested values of a config class with former names of keys replaced.

    `key` is put before the names in notes, with its dot. Keys that `class_` does not have stay as
    they are, for `parse` to report.
    """
    renamed = renaming.keys(values, aliases_of(class_), key)
    for name, value in renamed.items():
        inner, is_mapping = config_in(class_, name)
        if inner and isinstance(value, Mapping):
            items = value if is_mapping else {"": value}
            done = {
                n: rename_keys(inner, v, f"{key}{name}.{n}." if n else f"{key}{name}.", renaming)
                if isinstance(v, Mapping)
                else v
                for n, v in items.items()
            }
            renamed[name] = done if is_mapping else done[""]
    return renamed


def aliases_of(class_: Any) -> dict[str, str]:
    """Return the former names of a config's keys that are still accepted, and today's."""
    fields = dataclasses.fields(class_)
    return {f.metadata["alias"]: f.name for f in fields if "alias" in f.metadata}


def config_in(class_: Any, name: str) -> tuple[Any, bool]:
    """Return the config class of a field, or None; and True if it is a mapping from names to it."""
    return _config_in(typing.get_type_hints(class_).get(name))


def _config_in(hint: Any) -> tuple[Any, bool]:
    """Return the config class in a type hint, or None; and True for a mapping from names to it."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        hint = next((a for a in typing.get_args(hint) if a is not type(None)), None)
    arguments = (hint, *typing.get_args(hint))
    inner = next((a for a in arguments if dataclasses.is_dataclass(a)), None)
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
        spellings = fields[name].metadata.get("spellings", {})
        value = spellings.get(value, value) if isinstance(value, str) else value
        item, more = parse_value(hints[name], value, f"{key}{name}")
        if item is not INVALID and (problem := _bounds(fields[name], item)):
            item, more = INVALID, [f"{key}{name}: {problem}"]
        problems += more
        if item is INVALID:
            wrong.add(name)
        else:
            parsed[name] = item
    for name, each in fields.items():
        if _is_required(each) and (name not in parsed or parsed[name] in (REQUIRED, None)):
            problems += [] if name in wrong else [f"{key}{name}: must be given"]
            parsed[name] = REQUIRED
    return class_(**parsed), sorted(problems)


def _bounds(field: "dataclasses.Field[Any]", value: Any) -> str | None:
    """Return why a value of the right type is not possible, by the `r1trl.Field` of its field."""
    possible: Field | None = field.metadata.get("field")
    return possible.problem(value) if possible else None


def _is_required(field: "dataclasses.Field[Any]") -> bool:
    """Return True if a field has no default, or '???'."""
    if field.default is dataclasses.MISSING:
        return field.default_factory is dataclasses.MISSING
    return isinstance(field.default, str) and field.default == REQUIRED


def _unknown(name: str, fields: Mapping[str, Any]) -> str:
    """Say that there is no such key, and what is possible."""
    now = next((n for n, f in fields.items() if f.metadata.get("formerly") == name), None)
    hint = f"; it is called '{now}' now" if now else suggest(name, fields)
    return f"there is no such key{hint}; there are: {', '.join(sorted(fields))}"


def parse_value(hint: Any, value: Any, key: str) -> tuple[Any, list[str]]:
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
            item, more = parse_value(inner, entry, f"{key}.{name}")
            close = suggest(str(name), [str(other) for other in value if other != name])
            problems += [_of_new_entry(problem, close) for problem in more]
            parsed |= {name: item} if item is not INVALID else {}
    return parsed, problems


def _of_new_entry(problem: str, close: str) -> str:
    """Add the entry that may have been meant to a problem of one that lacks a key."""
    new = close and problem.endswith(": must be given")
    return f"{problem} for a new entry{close}" if new else problem
