"""The solution's classes and objects as the tests see them: mirrors and proxies.

A mirror is a class here for a class there, with the same bases, so that `isinstance`, `issubclass`,
`type` and `except` work; its instances are proxies, whose operations run in the solution's process.
Only plain values come back. The solution must neither see nor judge the expected values, so a proxy
is compared and combined only with other proxies: where tests need the solution's own `==` with a
plain value, they cannot judge it, and are rejected.
"""

import os
import types
from collections.abc import Callable
from typing import Any, NoReturn

from r1trl_code.inside.solution_side import (
    ABILITIES,
    ARITHMETIC,
    COMPARISONS,
    IN_PLACE,
    MUTABLE,
    OPERATIONS,
)
from r1trl_code.inside.values import CLASSES, PLAIN, standard_exception

INVALID_TESTS = 70
UNIVERSAL = ("getattr", "setattr", "delattr", "hash", "str", "repr", "format")
# What `isinstance` may call an object of a builtin class: not a plain value, which comes as itself.
REAL: dict[str, type] = {
    kind.__name__: kind
    for kind in (*vars(types).values(), *CLASSES.values())
    if isinstance(kind, type) and kind not in (*PLAIN, bool)
}


def reject_tests(reason: str) -> NoReturn:
    """Exit with INVALID_TESTS: these tests cannot judge any solution."""
    print(reason, flush=True)
    os._exit(INVALID_TESTS)


class Mirror(type):
    """The class of mirrors: what is done to a mirror is done to the solution's class."""

    _reference: tuple[Callable[..., Any], int]
    _special: frozenset[str] = frozenset()
    _plain: Any = None
    _judged = False

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """Make an object, in the solution's process."""
        if "_reference" not in vars(cls):
            reject_tests(f"they make a class of their own, {cls.__name__}, of one of the solution")
        return cls._reference[0]("call", cls, *args, **kwargs)

    def __getattribute__(cls, name: str) -> Any:
        if name.startswith("_"):
            return type.__getattribute__(cls, name)
        return cls._reference[0]("getattr", cls, name)

    def __getattr__(cls, name: str) -> Any:
        if "_reference" not in vars(cls):
            raise AttributeError(name)
        return cls._reference[0]("getattr", cls, name)

    def __setattr__(cls, name: str, value: Any) -> None:
        cls._reference[0]("setattr", cls, name, value)

    def __instancecheck__(cls, value: Any) -> bool:
        """Ask the solution's class too, as one of virtual subclasses, about its own objects."""
        found = type.__instancecheck__(cls, value)
        return found or (is_remote(value) and _ask(cls, "isinstance", value))

    def __subclasscheck__(cls, kind: Any) -> bool:
        found = type.__subclasscheck__(cls, kind)
        return found or (isinstance(kind, Mirror) and _ask(cls, "issubclass", kind))

    def __bool__(cls) -> bool:
        return True

    def __iter__(cls) -> Any:
        return cls._reference[0]("iter", cls)

    def __len__(cls) -> Any:
        return cls._reference[0]("len", cls)

    def __getitem__(cls, key: Any) -> Any:
        return cls._reference[0]("getitem", cls, key)


class Proxy(metaclass=Mirror):
    """A proxy of an object of the solution."""

    _r1trl: tuple[Callable[..., Any], int]
    __dict__ = property(lambda self: self._r1trl[0]("getattr", self, "__dict__"))  # type: ignore


def is_remote(value: Any) -> bool:
    """Return True if a value stands for an object of the solution."""
    return isinstance(value, Mirror) or isinstance(getattr(value, "_r1trl", None), tuple)


def _ask(cls: Any, operation: str, value: Any) -> bool:
    return "_reference" in vars(cls) and bool(cls._reference[0](operation, value, cls))


def _reject_operation(proxy: Proxy, operation: str) -> NoReturn:
    name = type(proxy).__name__
    reject_tests(f"they need the solution to judge a plain value, by {name}.__{operation}__")


def _forwarding(operation: str) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return self._r1trl[0](operation, self, *args, **kwargs)

    return method


def _between_objects(operation: str, reflected: bool = False) -> Callable[..., Any]:
    special = f"r{operation}" if reflected else {"ne": "eq"}.get(operation, operation)

    def method(self: Any, other: Any) -> Any:
        own = type(self)
        if is_remote(other):
            pair = (other, self) if reflected else (self, other)
            return self._r1trl[0](operation, *pair)
        if own._plain:
            content = self._r1trl[0]("content", self, own._plain)
            pair = (other, content) if reflected else (content, other)
            return OPERATIONS[operation](*pair)
        if own._judged and special in own._special and other is not None:
            _reject_operation(self, special)
        return NotImplemented

    return method


def leave(self: Any, kind: Any, error: Any, trace: Any) -> None:
    """Leave a `with` block; the solution learns of an exception, but may not end it."""
    known = getattr(error, "_r1trl", None) and error
    while kind and not known and kind.__module__ != "builtins":
        kind = kind.__base__
    if self._r1trl[0]("exit", self, type(known) if known else kind, known) and kind:
        reject_tests("they let the solution's __exit__ end an exception")


def contains(self: Any, item: Any) -> bool:
    """Return True if an object has an item, by its own word only if the item is its own too."""
    own = type(self)
    if is_remote(item):
        return bool(self._r1trl[0]("contains", self, item))
    if own._plain:
        return item in self._r1trl[0]("content", self, own._plain)
    if own._judged and not {"iter", "getitem"} & own._special:
        _reject_operation(self, "contains")
    return any(item is inner or item == inner for inner in iter(self))


for _name in UNIVERSAL:
    type.__setattr__(Proxy, f"__{_name}__", _forwarding(_name))
for _name in (*COMPARISONS, *ARITHMETIC, *IN_PLACE):
    type.__setattr__(Proxy, f"__{_name}__", _between_objects(_name))
for _name in ARITHMETIC:
    type.__setattr__(Proxy, f"__r{_name}__", _between_objects(_name, reflected=True))
type.__setattr__(Proxy, "__copy__", lambda self: self._r1trl[0]("copied", self, "copy"))
type.__setattr__(
    Proxy, "__deepcopy__", lambda self, memo: self._r1trl[0]("copied", self, "deepcopy")
)
FORWARDED = {name: _forwarding(name) for name in ABILITIES}
FORWARDED |= {"exit": leave, "contains": contains}


def make_mirror(request: Callable[..., Any], number: int, about: dict[str, Any]) -> type:
    """Return the class here for a class there, by its number and what `describe` says of it."""
    name, module, bases, plain = (about[key] for key in ("name", "module", "bases", "plain"))
    special = frozenset(about["special"])
    known = standard_exception(name, module)
    if known:
        return known
    raises = any(issubclass(base, BaseException) for base in bases)
    members: dict[str, Any] = {"__module__": module, "_plain": None, "_special": special}
    members["_reference"] = (request, number)
    if raises or (plain and plain not in MUTABLE):
        bases = [base for base in bases if base not in (object, *MUTABLE)]
        members |= {f"__{name}__": _forwarding(name) for name in ("getattr", "str", "repr")}
    else:
        bases = [base for base in bases if isinstance(base, Mirror)] or [Proxy]
        members |= {f"__{name}__": FORWARDED[name] for name in special & FORWARDED.keys()}
        members["_plain"] = plain
    if module == "builtins" and name in REAL:
        members["__class__"] = property(lambda self: REAL[name])
    return Mirror(name, tuple(bases), members)
