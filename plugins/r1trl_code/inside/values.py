"""Encoding of values between processes: plain ones as JSON, all others as references.

JSON has None, bool, int, float, str and list; any other value is `{kind: content}`: bytes and large
integers in hexadecimal, dictionaries as pairs, values of STANDARD by the arguments that make them,
builtin classes by name, and an object that stays in its process as what `keep` returns.
"""

import builtins
import sys
from collections.abc import Callable
from typing import Any

LARGE = 1 << 64
# The builtin classes, before any name is predefined.
CLASSES = {name: kind for name, kind in vars(builtins).items() if isinstance(kind, type)}
PLAIN = (int, float, str, bytes, list, tuple, dict, set, frozenset)
# Values of the standard library: each class with the arguments that make such a value again.
STANDARD: dict[str, Callable[[Any], list[Any]]] = {
    "builtins.complex": lambda value: [value.real, value.imag],
    "builtins.range": lambda value: [value.start, value.stop, value.step],
    "decimal.Decimal": lambda value: [str(value)],
    "fractions.Fraction": lambda value: [value.numerator, value.denominator],
    "datetime.date": lambda value: [value.year, value.month, value.day],
    "datetime.timedelta": lambda value: [value.days, value.seconds, value.microseconds],
    "collections.deque": lambda value: [list(value)],
    "collections.Counter": lambda value: [dict(value)],
    "collections.OrderedDict": lambda value: [dict(value)],
    "collections.defaultdict": lambda value: [None, dict(value)],
}
Keep = Callable[[Any, "type | None"], Any]
Find = Callable[[str, Any], Any]


def encode(value: Any, keep: Keep) -> Any:
    """Return a value as JSON data.

    `keep` returns the data of any object that is not plain; a subclass of a plain type comes with
    that type, so that it may become `encode_as` that type.
    """
    if value is None or value is True or value is False:
        return value
    kind = type(value)
    if kind in PLAIN:
        return encode_as(kind, value, keep)
    name = f"{kind.__module__}.{kind.__qualname__}"
    if name in STANDARD:
        return {"standard": [name, encode(STANDARD[name](value), keep)]}
    if isinstance(value, type) and CLASSES.get(value.__name__) is value:
        return {"builtin": value.__name__}
    return keep(value, next((kind for kind in PLAIN if isinstance(value, kind)), None))


def encode_as(kind: Any, value: Any, keep: Keep) -> Any:
    """Return a value of a plain type or a subclass; none of the subclass's methods is called."""
    if kind is int:
        number = int.__pos__(value)
        return number if -LARGE < number < LARGE else {"int": hex(number)}
    if kind is float:
        return float.__pos__(value)
    if kind is str:
        return str.__str__(value)
    if kind is bytes:
        return {"bytes": bytes.hex(value)}
    if kind is dict:
        return {"dict": [[encode(k, keep), encode(v, keep)] for k, v in dict.items(value)]}
    items = [encode(item, keep) for item in kind.__iter__(value)]
    return items if kind is list else {kind.__name__: items}


def decode(data: Any, find: Find) -> Any:
    """Return the value of JSON data; `find` returns what other data refers to, by its kind."""
    if isinstance(data, list):
        return [decode(item, find) for item in data]
    if not isinstance(data, dict):
        return data
    ((kind, content),) = data.items()
    match kind:
        case "int":
            return int(content, 16)
        case "bytes":
            return bytes.fromhex(content)
        case "dict":
            return {decode(k, find): decode(v, find) for k, v in content}
        case "tuple" | "set" | "frozenset":
            return CLASSES[kind]([decode(item, find) for item in content])
        case "builtin":
            return CLASSES[content]
        case "standard" if content[0] in STANDARD:
            module, _, name = content[0].rpartition(".")
            __import__(module)
            return getattr(sys.modules[module], name)(*decode(content[1], find))
    return find(kind, content)


def standard_exception(name: str, module: str) -> type | None:
    """Return an exception of the standard library that is loaded here; never unittest's."""
    library = module.partition(".")[0]
    if library not in sys.stdlib_module_names - {"unittest"} and module != "builtins":
        return None
    found = vars(sys.modules[module]).get(name) if module in sys.modules else None
    top = BaseException if module == "builtins" else Exception
    return found if isinstance(found, type) and issubclass(found, top) else None


def update(old: Any, new: Any) -> Any:
    """Update a list, dict, set or deque in place, recursively, and return it.

    Returns the new value instead if the types differ or cannot be updated.
    """
    if type(old) is not type(new):
        return new
    if isinstance(old, list):
        old[:] = [*map(update, old, new), *new[len(old) :]]
    elif isinstance(old, dict):
        updated = {key: update(old[key], new[key]) if key in old else new[key] for key in new}
        old.clear()
        old.update(updated)
    elif isinstance(old, set):
        old.clear()
        old.update(new)
    elif f"{type(old).__module__}.{type(old).__qualname__}" == "collections.deque":
        old.clear()
        old.extend(new)
    else:
        return new
    return old
