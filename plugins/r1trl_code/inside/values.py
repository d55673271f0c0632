"""Encoding of values between processes: plain ones as JSON, all others as handles.

JSON has None, bool, int, float, str and list; any other value is `{kind: content}`: bytes and large
integers in hexadecimal, dictionaries as pairs, and an object that stays in its process as its
number. A subclass of a plain type arrives as that type, so none of its own methods is ever called.
"""

from collections.abc import Callable
from typing import Any

LARGE = 1 << 64


def encode(value: Any, keep: Callable[[Any], int]) -> Any:
    """Return a value as JSON data; `keep` returns the number of an object that stays."""
    if value is None or value is True or value is False:
        return value
    if isinstance(value, int):
        number = int.__pos__(value)
        return number if -LARGE < number < LARGE else {"int": hex(number)}
    if isinstance(value, float):
        return float.__pos__(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bytes):
        return {"bytes": bytes.hex(value)}
    return _encode_many(value, keep)


def _encode_many(value: Any, keep: Callable[[Any], int]) -> Any:
    if isinstance(value, dict):
        return {"dict": [[encode(k, keep), encode(v, keep)] for k, v in dict.items(value)]}
    kinds: tuple[Any, ...] = (list, tuple, set, frozenset)
    for kind in kinds:
        if isinstance(value, kind):
            items = [encode(item, keep) for item in kind.__iter__(value)]
            return items if kind is list else {kind.__name__: items}
    return {"handle": keep(value)}


def decode(data: Any, find: Callable[[int], Any]) -> Any:
    """Return the value of JSON data; `find` returns the object, or its proxy, by number."""
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
        case "handle":
            return find(content)
        case "dict":
            return {decode(k, find): decode(v, find) for k, v in content}
    items = [decode(item, find) for item in content]
    return {"tuple": tuple, "set": set, "frozenset": frozenset}[kind](items)


def update(old: Any, new: Any) -> Any:
    """Update a list, dict or set in place, recursively, and return it.

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
    else:
        return new
    return old
