"""The config class of a stage of each kind: the keys of every stage and the kind's own."""

import dataclasses
import functools
import types
import typing
from collections.abc import Hashable, Iterable
from typing import Any, cast

from r1trl.config.schema import REQUIRED, StageConfig
from r1trl.errors import ConfigError
from r1trl.kind import Kind
from r1trl.plugins.loading import Plugins, load
from r1trl.plugins.offer import Offer

CHECKED_TYPES = (str, int, float, bool, type(None), Any)


def load_plugins(extra: Iterable[str] = (), block: Iterable[str] = ()) -> Plugins:
    """Load plugins as `loading.load` does, and check the settings of the kinds that they offer.

    Raises ConfigError with everything that is wrong.
    """
    plugins = load(extra, block)
    offers = plugins.offers["kind"].values()
    problems = [problem for offer in offers for problem in _kind_problems(offer)]
    if problems:
        raise ConfigError(problems)
    return plugins


def stage_class(kind: Kind) -> type[StageConfig]:
    """Return StageConfig with the fields of the kind's settings added; their keys are flat."""
    return _stage_class(cast(Hashable, kind.settings))


@functools.cache
def _stage_class(settings: Any) -> type[StageConfig]:
    hints = typing.get_type_hints(settings)
    added = [(f.name, hints[f.name], _with_default(f)) for f in dataclasses.fields(settings)]
    made = dataclasses.make_dataclass(f"Stage{settings.__name__}", added, bases=(StageConfig,))
    return cast(type[StageConfig], made)


def _with_default(field: "dataclasses.Field[Any]") -> Any:
    """Return a field like this one; one without a default gets '???', which must be given."""
    if field.default_factory is not dataclasses.MISSING:
        return dataclasses.field(default_factory=field.default_factory, metadata=field.metadata)
    default = REQUIRED if field.default is dataclasses.MISSING else field.default
    return dataclasses.field(default=default, metadata=field.metadata)


def _kind_problems(offer: Offer) -> list[str]:
    """Return what is wrong with the settings of a kind."""
    settings, label = offer.target.settings, f"plugin '{offer.plugin}': kind '{offer.name}'"
    if not (isinstance(settings, type) and dataclasses.is_dataclass(settings)):
        return [f"{label}: settings is {settings!r}; make it a dataclass"]
    try:
        hints = typing.get_type_hints(settings)
    except (NameError, TypeError) as error:
        return [f"{label}: the types of {settings.__name__} cannot be read: {error}; import them"]
    common, problems = {f.name for f in dataclasses.fields(StageConfig)}, []
    for field in dataclasses.fields(settings):
        key = f"{label}: settings.{field.name}"
        if field.name in common:
            problems.append(f"{key}: every stage has a key of that name; choose another")
        elif not _can_check(hints[field.name]):
            problems.append(
                f"{key}: a value of type {hints[field.name]!r} cannot be checked; use str, int, "
                "float, bool, Literal, r1trl.Model, r1trl.Rows, lists and dicts of them, a "
                "dataclass, or any of these or None"
            )
    return problems


def _can_check(hint: Any) -> bool:
    """Return True if `parse` can check a value against a type."""
    if isinstance(hint, typing.NewType):
        return _can_check(hint.__supertype__)
    if dataclasses.is_dataclass(hint):
        return all(_can_check(inner) for inner in typing.get_type_hints(hint).values())
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return True
    if origin in (list, dict, typing.Union, types.UnionType):
        return all(_can_check(argument) for argument in arguments)
    return hint in (*CHECKED_TYPES, list, dict)


def describe_settings(kind: Kind) -> list[str]:
    """Return the settings of a kind as lines: name, type, and default if there is one."""
    hints = typing.get_type_hints(kind.settings)
    lines = []
    for field in dataclasses.fields(kind.settings):
        type_ = getattr(hints[field.name], "__name__", None)
        shown = type_ if type_ and not typing.get_args(hints[field.name]) else hints[field.name]
        default = "" if field.default is dataclasses.MISSING else f" = {field.default!r}"
        lines.append(f"{field.name}: {str(shown).replace('typing.', '')}{default}")
    return lines
