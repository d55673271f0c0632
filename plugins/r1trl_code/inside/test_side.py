"""The tests' process: they use the solution through proxies of objects in its process.

Only plain values come back, so every comparison with an expected value is made here. Two objects of
the solution are compared by the solution, by their class. If the solution's process ends or sends
an invalid reply, the tests fail at once, whatever they would catch. Status 0 means passed.
"""

import ast
import builtins
import importlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from r1trl_code.inside.solution_side import BOTH_OBJECTS
from r1trl_code.inside.start import load
from r1trl_code.inside.values import decode, encode, update

FAILED, INVALID_TESTS = 1, 70
PR_SET_DUMPABLE = 4
FORWARDED = (
    *("getattr", "setattr", "delattr", "call", "getitem", "setitem", "delitem", "len", "iter"),
    *("next", "hash", "bool", "str", "repr", "int", "float", "abs"),
)


class Solution:
    """The connection to the solution's process: a file descriptor of a socket."""

    def __init__(self, channel: int) -> None:
        self.replies = os.fdopen(channel, encoding="utf-8")
        self.requests = os.fdopen(os.dup(channel), "w", encoding="utf-8")

    def request(self, operation: str, *args: Any, **kwargs: Any) -> Any:
        """Run an operation there; raise its exception, and update the arguments as it did."""
        given = [list(args), kwargs]
        reply = self._exchange([operation, *encode(given, _number)])
        if "error" in reply:
            raise _exception(reply["error"], reply["message"])
        update(given, decode(reply["given"], self.proxy))
        return decode(reply["value"], self.proxy)

    def proxy(self, number: int) -> "Proxy":
        """Return the proxy of an object by its number."""
        return Proxy(self.request, number)

    def _exchange(self, request: list[Any]) -> Any:
        try:
            self.requests.write(json.dumps(request) + "\n")
            self.requests.flush()
            return json.loads(self.replies.readline())
        except (OSError, ValueError):
            os._exit(FAILED)


class Proxy:
    """A proxy of an object of the solution; operations on it run in the solution's process.

    It supports arithmetic and comparisons only with other proxies: the solution must neither see
    nor judge the expected values.
    """

    _r1trl: tuple[Callable[..., Any], int]

    def __init__(self, request: Callable[..., Any], number: int) -> None:
        object.__setattr__(self, "_r1trl", (request, number))


def _forwarding(operation: str) -> Callable[..., Any]:
    def method(self: Proxy, *args: Any, **kwargs: Any) -> Any:
        return self._r1trl[0](operation, self, *args, **kwargs)

    return method


def _between_objects(operation: str) -> Callable[..., Any]:
    def method(self: Proxy, other: Any) -> Any:
        supported = isinstance(other, Proxy)
        return self._r1trl[0](operation, self, other) if supported else NotImplemented

    return method


for _operation in FORWARDED:
    setattr(Proxy, f"__{_operation}__", _forwarding(_operation))
for _operation in BOTH_OBJECTS:
    setattr(Proxy, f"__{_operation}__", _between_objects(_operation))


def _number(value: Any) -> int:
    if isinstance(value, Proxy):
        return value._r1trl[1]
    _reject_tests(
        f"they pass a {type(value).__name__} to the solution, which only gets plain values"
    )


def _exception(kinds: list[str], message: str) -> Any:
    """Return the solution's exception as an instance of its nearest builtin class."""
    classes = [getattr(builtins, kind, None) for kind in kinds]
    builtin = [kind for kind in classes if isinstance(kind, type) and issubclass(kind, Exception)]
    kind = builtin[0] if builtin else RuntimeError  # sys.exit there must not end the tests here
    error: Any = kind.__new__(kind, message)
    error.of_solution = True
    return error


def _reject_tests(reason: str) -> NoReturn:
    """Exit with INVALID_TESTS: these tests cannot judge any solution."""
    print(reason, flush=True)
    os._exit(INVALID_TESTS)


def judge(tests: str, child: str | None) -> None:
    """Run the tests on the solution; `child` is its program, None if stdin is its socket."""
    try:
        modules = dict(_modules(tests))
        solution = Solution(0 if child is None else _start(child))
    except (SyntaxError, OSError) as error:
        _reject_tests(f"{type(error).__name__}: {error}")
    names = dict(_not_builtin(solution.request("names", solution.proxy(0))))
    try:
        load(tests, "__main__", (names | modules).items())
    except ImportError as error:
        if not hasattr(error, "of_solution"):
            _reject_tests(f"{type(error).__name__}: {error}")
        raise


def _not_builtin(names: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Drop the names of builtins: no solution changes what `abs` means to the tests."""
    for name, value in names.items():
        if not name.startswith("__") and not hasattr(builtins, name):
            yield name, value


def _modules(tests: str) -> Iterator[tuple[str, Any]]:
    """Import the standard modules that tests use, so that no solution can replace them.

    Tests may use modules without importing them, as the solution's prompt may do that.
    """
    for node in ast.walk(ast.parse(tests)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            name = node.value.id
            if name in sys.stdlib_module_names:
                yield name, importlib.import_module(name)


def _start(program: str) -> int:
    """Start the solution's process in this sandbox; return the file descriptor of its socket.

    Both run as one user then, so this process first hides its memory and its source.
    """
    import ctypes
    import socket
    import subprocess
    import tempfile
    from contextlib import suppress

    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    with suppress(OSError):  # the sandbox may be read-only
        os.unlink(sys.argv[0])
    ours, theirs = socket.socketpair()
    with tempfile.NamedTemporaryFile("w", dir=".", delete=False) as file, theirs:
        file.write(program)
        file.flush()
        command = [sys.executable, "-I", "-S", file.name]
        subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL)
    return ours.detach()
