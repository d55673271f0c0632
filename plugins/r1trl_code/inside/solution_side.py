"""The solution's process: it loads the solution and handles requests, one line each.

A request is `[operation, args, kwargs]`; object 0 is the solution's module. A reply has the value
and the arguments after the call, or the exception. The solution may do anything to this process: it
only returns values here, and the expected ones are elsewhere.
"""

import json
import operator
import os
from types import ModuleType
from typing import Any

from r1trl_code.inside.start import load_solution, redirect_to_null
from r1trl_code.inside.values import PLAIN, decode, encode, encode_as

COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
ARITHMETIC = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul")
ARITHMETIC += ("lshift", "rshift", "and", "or", "xor")
IN_PLACE = tuple(f"i{name}" for name in ARITHMETIC)
# What only some objects can do.
ABILITIES = ("call", "getitem", "setitem", "delitem", "contains", "len", "iter", "next", "bool")
ABILITIES += ("int", "float", "complex", "abs", "round", "index", "reversed", "neg", "pos")
ABILITIES += ("invert", "enter", "exit")
MUTABLE = (list, dict, set)


def names(module: ModuleType) -> dict[str, Any]:
    """Return the names that a solution defines, with their values, without imported modules."""
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("__") and not isinstance(value, ModuleType)
    }


def named(module: ModuleType, path: str, *args: Any) -> Any:
    """Call a function, or as `Class.method` a method of a new object."""
    owner, _, name = path.rpartition(".")
    return getattr(getattr(module, owner)() if owner else module, name)(*args)


def describe(kind: type) -> dict[str, Any]:
    """Return a class's name, module, bases, the plain type below it, and its abilities."""
    operations = (*ABILITIES, *COMPARISONS, *ARITHMETIC, *(f"r{name}" for name in ARITHMETIC))
    methods = {name: value for base in kind.__mro__[::-1] for name, value in vars(base).items()}
    special = {name: methods.get(f"__{name}__") for name in operations}
    return {
        "name": kind.__name__,
        "module": kind.__module__,
        "bases": list(kind.__bases__),
        "plain": next((plain for plain in PLAIN if issubclass(kind, plain)), None),
        "special": [
            name
            for name, method in special.items()
            if method is not None and method is not getattr(object, f"__{name}__", None)
        ],
    }


def leave(thing: Any, kind: type | None, error: BaseException | None) -> Any:
    """Leave a `with` block of an object, after an exception if `kind` is one."""
    return thing.__exit__(kind, kind() if kind and error is None else error, None)


def copied(thing: Any, how: str) -> Any:
    """Return a `copy` or a `deepcopy` of an object."""
    import copy

    return getattr(copy, how)(thing)


OPERATIONS: dict[str, Any] = {
    "names": names,
    "named": named,
    "describe": describe,
    "copied": copied,
    "isinstance": isinstance,
    "issubclass": issubclass,
    "call": lambda function, *args, **kwargs: function(*args, **kwargs),
    "enter": lambda thing: thing.__enter__(),
    "exit": leave,
    **{f.__name__: f for f in (getattr, setattr, delattr, len, iter, next, hash, bool, format)},
    **{f.__name__: f for f in (str, repr, int, float, complex, abs, round, reversed)},
    **{
        name: getattr(operator, f"__{name}__")
        for name in (*COMPARISONS, *ARITHMETIC, *IN_PLACE, "contains", "getitem", "setitem")
    },
    **{name: getattr(operator, f"__{name}__") for name in ("delitem", "index", "neg", "pos")},
    "invert": operator.invert,
}


class Objects:
    """The objects that stay in this process, by number; an object keeps its number."""

    def __init__(self, first: Any) -> None:
        self.all = [first]
        self.numbers = {id(first): 0}

    def number_of(self, thing: Any) -> int:
        """Return the number of an object, a new one on first use."""
        if id(thing) not in self.numbers:
            self.numbers[id(thing)] = len(self.all)
            self.all.append(thing)
        return self.numbers[id(thing)]

    def keep(self, thing: Any, plain: type | None) -> Any:
        """Return a reference to an object with its class, and its content if it is immutable."""
        if isinstance(thing, type):
            return {"class": self.number_of(thing)}
        if plain in MUTABLE and id(thing) not in self.numbers:
            return encode_as(plain, thing, self.keep)
        reference = [self.number_of(thing), self.number_of(type(thing))]
        if plain is None or plain in MUTABLE:
            return {"object": reference}
        return {"content": [*reference, encode_as(plain, thing, self.keep)]}

    def encode(self, value: Any) -> Any:
        """Return a value as JSON data."""
        return encode(value, self.keep)

    def find(self, kind: str, number: int) -> Any:
        """Return the object that a request refers to."""
        return self.all[number]

    def handle(self, operation: str, args: Any, kwargs: Any) -> dict[str, Any]:
        """Handle a request and return the reply."""
        try:
            given = decode([args, kwargs], self.find)
            if operation == "content":
                return {"value": encode_as(given[0][1], given[0][0], self.keep), "given": None}
            value = OPERATIONS[operation](*given[0], **given[1])
            if operation == "call" and isinstance(given[0][0], type):
                self.keep_made(value)
            return {"value": self.encode(value), "given": self.encode(given)}
        except BaseException as error:  # noqa: BLE001 - sys.exit too is only a reply of the solution
            return {"error": [self.number_of(error), self.number_of(type(error))]}

    def keep_made(self, thing: Any) -> None:
        """Keep here what the tests have made of a solution's own class of lists, dicts or sets."""
        if isinstance(thing, MUTABLE) and type(thing).__module__ == "solution":
            self.number_of(thing)


def serve(source: str) -> None:
    """Load the solution and reply until the requests end; its stdin and stdout are /dev/null."""
    requests, replies = os.fdopen(os.dup(0), encoding="utf-8"), os.fdopen(os.dup(1), "w")
    redirect_to_null(0, os.O_RDONLY)
    redirect_to_null(1, os.O_WRONLY)
    objects = Objects(load_solution(source))
    for line in requests:
        replies.write(json.dumps(objects.handle(*json.loads(line))) + "\n")
        replies.flush()
    os._exit(0)  # whatever threads the solution has left
