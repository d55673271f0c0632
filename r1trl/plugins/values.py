"""Values against type annotations: what is safe is converted; options against a signature."""

import inspect
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from r1trl.errors import suggest
from r1trl.plugins.offer import Offer
from r1trl.types import Benchmarks


def check_options(
    offer: Offer, options: Mapping[str, Any], key: str, common: Sequence[str] = ()
) -> list[str]:
    """Check options against the offer's keyword-only parameters; return the problems.

    `key` is the config key that the options stand under; `common` are the keys that stand there
    besides, which every offer of the role takes.
    """
    known, problems = offer.option_types(), []
    label = f"{offer.role} '{offer.name}'"
    for name, value in options.items():
        if name not in known:
            there = ", ".join(known) or "none"
            there += f"; of every {offer.role}: {', '.join(common)}" if common else ""
            hint = _positional(offer, name) or suggest(name, [*known, *common])
            problems.append(f"{key}: {label} has no option '{name}'{hint}; its options: {there}")
            continue
        try:
            # Of benchmarks a config has the names.
            convert(
                value,
                list[str] | None if name in offer.options_of_type(Benchmarks) else known[name],
            )
        except ValueError as error:
            problems.append(f"{key}.{name}: {error}")
    for name, parameter in offer.options.items():
        if parameter.default is inspect.Parameter.empty and name not in options:
            problems.append(f"{key}: {label} needs the option '{name}'")
    return problems


def _positional(offer: Offer, name: str) -> str:
    """Return what to do if a parameter is meant as an option and is none; empty if it is not."""
    if name not in offer.positional:
        return ""
    is_column = offer.role == "reward" and not inspect.isclass(offer.target)
    use = ", which is read from a column" if is_column else ""
    return f": it is a positional parameter{use}; put it after * to make it an option"


def convert(value: Any, type_: Any) -> Any:
    """Return the value as the type; raise ValueError with a sentence if it cannot be."""
    origin, arguments = typing.get_origin(type_), typing.get_args(type_)
    if type_ is Any or (value is None and (type_ is None or type(None) in arguments)):
        return value
    if isinstance(type_, typing.NewType):
        return convert(value, type_.__supertype__)
    if origin is typing.Literal:
        if value not in arguments:
            choices = ", ".join(map(str, arguments))
            hint = suggest(str(value), map(str, arguments))
            raise ValueError(f"'{value}' is not possible{hint}; choose one of: {choices}")
        return value
    if origin in (typing.Union, types.UnionType):
        return _convert_union(value, [a for a in arguments if a is not type(None)])
    if origin is list or type_ is list:
        if not isinstance(value, list):
            raise ValueError(f"value '{value}' is not a list")
        return [convert(item, arguments[0] if arguments else Any) for item in value]
    if origin is tuple and ... not in arguments:
        if not isinstance(value, list | tuple) or len(value) != len(arguments):
            raise ValueError(f"value '{value}' is not a list of {len(arguments)}")
        return tuple(convert(item, each) for item, each in zip(value, arguments, strict=True))
    if origin is dict or type_ is dict:
        if not isinstance(value, Mapping):
            raise ValueError(f"value '{value}' is not a mapping")
        return {k: convert(v, arguments[1] if arguments else Any) for k, v in value.items()}
    return _convert_plain(value, type_)


def _convert_union(value: Any, arguments: list[Any]) -> Any:
    reasons = []
    for argument in arguments:
        try:
            return convert(value, argument)
        except ValueError as error:
            reasons.append(str(error))
    raise ValueError("; ".join(reasons))


def _convert_plain(value: Any, type_: Any) -> Any:
    kind = getattr(type_, "__name__", str(type_))
    article = "an" if kind[0] in "aeiou" else "a"
    given = "str" if isinstance(value, str) else type(value).__name__
    wrong = ValueError(f"value '{value}' of type '{given}' is not {article} {kind}")
    if type_ is float and isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            return float(value)
        except ValueError:
            raise wrong from None
    if type_ is str and isinstance(value, str):  # from the environment, as `environment` marks it
        return value
    if type_ is float or (type_ in (bool, int, str) and type(value) is not type_):
        raise wrong
    return value
