"""The solution's process: it loads the solution and handles requests, one line each.

A request is `[operation, args, kwargs]`; object 0 is the solution's module. A reply has the value
and the arguments after the call, or the exception's classes and message. The solution may do
anything to this process: it only returns values here, and the expected ones are elsewhere.
"""

import json
import operator
import os
from types import ModuleType
from typing import Any

from r1trl_code.inside.start import load, redirect_to_null
from r1trl_code.inside.values import decode, encode

BOTH_OBJECTS = ("eq", "ne", "lt", "le", "gt", "ge", "add", "sub", "mul", "truediv", "matmul")


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


OPERATIONS: dict[str, Any] = {
    "names": names,
    "named": named,
    "call": lambda function, *args, **kwargs: function(*args, **kwargs),
    "getitem": operator.getitem,
    "setitem": operator.setitem,
    "delitem": operator.delitem,
    **{f.__name__: f for f in (getattr, setattr, delattr, len, iter, next, hash, bool)},
    **{f.__name__: f for f in (str, repr, int, float, abs)},
    **{name: getattr(operator, name) for name in BOTH_OBJECTS},
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

    def handle(self, operation: str, args: Any, kwargs: Any) -> dict[str, Any]:
        """Handle a request and return the reply."""
        try:
            given = decode([args, kwargs], self.all.__getitem__)
            value = OPERATIONS[operation](*given[0], **given[1])
            return {"value": encode(value, self.number_of), "given": encode(given, self.number_of)}
        except BaseException as error:  # noqa: BLE001 - sys.exit too is only a reply of the solution
            kinds = [kind.__name__ for kind in type(error).__mro__]
            return {"error": kinds, "message": str(error)}


def serve(source: str) -> None:
    """Load the solution and reply until the requests end; its stdin and stdout are /dev/null."""
    requests, replies = os.fdopen(os.dup(0), encoding="utf-8"), os.fdopen(os.dup(1), "w")
    redirect_to_null(0, os.O_RDONLY)
    redirect_to_null(1, os.O_WRONLY)
    objects = Objects(load(source, "solution"))
    for line in requests:
        replies.write(json.dumps(objects.handle(*json.loads(line))) + "\n")
        replies.flush()
    os._exit(0)  # whatever threads the solution has left
