"""What is wrong with a kind that a plugin offers, found when the plugin loads."""

import dataclasses
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from r1trl.config.parse import INVALID, parse_value
from r1trl.config.schema import StageConfig
from r1trl.errors import unknown
from r1trl.fields import Field
from r1trl.kind import OPTIONAL_KEYS, Kind
from r1trl.plugins.offer import Offer

CHECKED_TYPES = (str, int, float, bool, type(None), Any)
COMMON_KEYS = tuple(field.name for field in dataclasses.fields(StageConfig))
FUNCTIONS = ("run", "columns", "problems", "size", "small")
CHOICES = {"makes": ("model", "dataset"), "draws": ("nothing", "while training", "rows")}
POSSIBLE = (
    "use str, int, float, bool, Literal, r1trl.Model, r1trl.Rows, a list or dict of these, a "
    "dataclass or a dict of dataclasses, or any of these or None"
)


def kind_problems(offer: Offer) -> list[str]:
    """Return what is wrong with a kind: its fields, its functions, its settings."""
    label, kind = f"plugin '{offer.plugin}': kind '{offer.name}'", offer.target
    return [f"{label}: {line}" for line in (*_field_problems(kind), *_settings_problems(kind))]


def _field_problems(kind: Kind) -> Iterator[str]:
    for name in FUNCTIONS:
        if not callable(getattr(kind, name)):
            yield f"{name} is {getattr(kind, name)!r}; give a function"
    for name, choices in CHOICES.items():
        if getattr(kind, name) not in choices:
            yield f"{name}: {unknown('choice', str(getattr(kind, name)), choices)}"
    optional = (*OPTIONAL_KEYS, "model", "data")
    for name, keys in (("needs", COMMON_KEYS), ("takes", optional)):
        value = getattr(kind, name)
        if isinstance(value, str) or not isinstance(value, Sequence):
            yield f"{name} is {value!r}; give a list of keys"
            continue
        yield from (f"{name}: {unknown('key', str(k), keys)}" for k in value if k not in keys)
    if kind.trl_config is not None and not isinstance(kind.trl_config, str):
        yield f"trl_config is {kind.trl_config!r}; give the name of TRL's config class"
    named = isinstance(kind.fields, Mapping)
    if not (named and all(isinstance(each, Field) for each in kind.fields.values())):
        yield f"fields is {kind.fields!r}; give a mapping from names of fields to r1trl.Field"


def _settings_problems(kind: Kind) -> Iterator[str]:
    settings = kind.settings
    if not (isinstance(settings, type) and dataclasses.is_dataclass(settings)):
        yield f"settings is {settings!r}; make it a dataclass"
        return
    if "__post_init__" in vars(settings):
        yield "settings has a __post_init__, which is not called; check values in `problems`"
    try:
        hints = _hints(settings)
    except Exception as error:  # noqa: BLE001 - whatever an annotation raises is the reason
        yield f"the types of settings cannot be read: {type(error).__name__}: {error}; import them"
        return
    own = {field.name for field in dataclasses.fields(settings)}
    aliases: list[str] = []
    for field in dataclasses.fields(settings):
        key = f"settings.{field.name}"
        alias = field.metadata.get("alias")
        if field.name in COMMON_KEYS:
            yield f"{key}: every stage has a key of that name; choose another"
        elif not _can_check(hints[field.name]):
            yield f"{key}: a value of type {hints[field.name]!r} cannot be checked; {POSSIBLE}"
        elif not isinstance(field.metadata.get("field", Field()), Field):
            yield f"{key}: its metadata field is {field.metadata['field']!r}; give an r1trl.Field"
        elif _default_problem(field, hints[field.name]):
            yield f"{key}: the default {field.default!r} is not of its type, or out of its bounds"
        if alias is not None and (alias in (*COMMON_KEYS, *own, *aliases) or alias == ""):
            yield f"{key}: its alias {alias!r} is another key; choose another"
        aliases.append(str(alias))


def _hints(settings: Any) -> dict[str, Any]:
    """Return the types of a dataclass's fields, having read those of nested ones too."""
    hints = typing.get_type_hints(settings)
    for hint in hints.values():
        for inner in (hint, *typing.get_args(hint)):
            if isinstance(inner, type) and dataclasses.is_dataclass(inner):
                _hints(inner)
    return hints


def _default_problem(field: "dataclasses.Field[Any]", hint: Any) -> bool:
    if field.default is dataclasses.MISSING or dataclasses.is_dataclass(field.default):
        return False
    possible = field.metadata.get("field", Field()).problem(field.default) is None
    return not possible or parse_value(hint, field.default, "")[0] is INVALID


def _can_check(hint: Any) -> bool:
    """Return True if `parse` can check a value against a type."""
    if isinstance(hint, typing.NewType):
        return _can_check(hint.__supertype__)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return all(_can_check(inner) for inner in typing.get_type_hints(hint).values())
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return True
    if origin in (typing.Union, types.UnionType):
        some = [a for a in arguments if a is not type(None)]
        nested = [a for a in some if _has_dataclass(a)]
        return all(map(_can_check, some)) and (not nested or len(some) == 1)
    if origin is dict:
        return all(map(_can_check, arguments)) and not _has_dataclass_deep(arguments[1])
    if origin is list:
        return all(map(_can_check, arguments)) and not any(map(_has_dataclass, arguments))
    return hint in (*CHECKED_TYPES, list, dict)


def _has_dataclass(hint: Any) -> bool:
    """Return True if a type is a dataclass or contains one."""
    inner: Callable[[Any], bool] = _has_dataclass
    return dataclasses.is_dataclass(hint) or any(map(inner, typing.get_args(hint)))


def _has_dataclass_deep(hint: Any) -> bool:
    """Return True if a type contains a dataclass and is none itself."""
    return not dataclasses.is_dataclass(hint) and _has_dataclass(hint)
