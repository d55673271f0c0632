"""The tests' process: they use the solution through proxies of objects in its process.

Only plain values come back, so every comparison with an expected value is made here. Two objects of
the solution are compared by the solution, by their class. If the solution's process ends or sends
an invalid reply, the tests fail at once, whatever they would catch. Status 0 means passed, and only
the tests themselves end so: a SystemExit of the solution, which they may catch, fails them.
"""

import ast
import builtins
import importlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from r1trl_code.inside.mirror import Mirror, is_remote, make_mirror, reject_tests
from r1trl_code.inside.start import BUILTINS, load
from r1trl_code.inside.values import PLAIN, decode, encode, encode_as, update

FAILED = 1
PR_SET_DUMPABLE = 4


class Solution:
    """The connection to the solution's process: a file descriptor of a socket."""

    def __init__(self, channel: int) -> None:
        self.replies = os.fdopen(channel, encoding="utf-8")
        self.requests = os.fdopen(os.dup(channel), "w", encoding="utf-8")
        self.classes: dict[int, type] = {}
        self.objects: dict[int, Any] = {}

    def names(self) -> dict[str, Any]:
        """Return the names that the solution defines."""
        return dict(self._value(self._exchange("names", [[{"object": 0}], {"dict": []}])["value"]))

    def request(self, operation: str, *args: Any, **kwargs: Any) -> Any:
        """Run an operation there; raise its exception, and update the arguments as it did."""
        given = [list(args), kwargs]
        reply = self._exchange(operation, encode(given, _keep))
        if "error" in reply:
            error = self._value({"object": reply["error"]})
            if isinstance(error, StopIteration) and type(args[0]).__name__ == "function":
                raise RuntimeError("a function raised StopIteration") from error
            raise error
        if reply["given"] is not None:
            update(given, self._value(reply["given"]))
        return self._value(reply["value"])

    def _exchange(self, operation: str, given: Any) -> Any:
        try:
            self.requests.write(json.dumps([operation, *given]) + "\n")
            self.requests.flush()
            return dict(json.loads(self.replies.readline()))
        except (OSError, ValueError, TypeError):
            os._exit(FAILED)

    def _value(self, data: Any) -> Any:
        """Decode a reply; end the tests on an invalid one."""
        try:
            return decode(data, self._find)
        except Exception:  # noqa: BLE001 - else a test that catches it would go on
            os._exit(FAILED)

    def _find(self, kind: str, content: Any) -> Any:
        if kind == "class":
            return self._class(content)
        number, of_class = content[0], self._class(content[1])
        if number not in self.objects:
            found = self.objects[number] = _make(of_class, *map(self._value, content[2:]))
            object.__setattr__(found, "_r1trl", (self.request, number))
            if isinstance(found, BaseException):
                self._complete(found)
        return self.objects[number]

    def _class(self, number: int) -> type:
        if number not in self.classes:
            reply = self._exchange("describe", [[{"object": number}], {"dict": []}])
            about = self._value(reply["value"])
            self.classes[number] = make_mirror(self.request, number, about)
        return self.classes[number]

    def _complete(self, error: BaseException) -> None:
        """Give an exception its arguments and, if it is a builtin one, what it makes of them."""
        error.args = self.request("getattr", error, "args")
        if not isinstance(type(error), Mirror):
            with suppress(TypeError):
                error.__init__(*error.args)  # type: ignore[misc]


def _make(of_class: Any, *content: Any) -> Any:
    """Return a new object of a mirror, or of a builtin exception."""
    if issubclass(of_class, BaseException):
        return of_class.__new__(of_class)
    plain = next((kind for kind in PLAIN if issubclass(of_class, kind)), None)
    return plain.__new__(of_class, *content) if plain else object.__new__(of_class)


def _keep(value: Any, plain: type | None) -> Any:
    if is_remote(value):
        return {"object": (value._reference if isinstance(value, Mirror) else value._r1trl)[1]}
    if plain:
        return encode_as(plain, value, _keep)
    reject_tests(
        f"they pass a {type(value).__name__} to the solution, which only gets plain values"
    )


def judge(tests: str, child: str | None) -> None:
    """Run the tests on the solution; `child` is its program, None if stdin is its socket."""
    try:
        modules = dict(_modules(tests))
        solution = Solution(0 if child is None else _start(child))
    except (SyntaxError, OSError) as error:
        reject_tests(f"{type(error).__name__}: {error}")
    names = dict(_not_builtin(solution.names()))
    _mark_judged(tests, names)
    try:
        load(tests, "__main__", (names | modules).items())
    except ImportError as error:
        if not is_remote(error):
            reject_tests(f"{type(error).__name__}: {error}")
        raise
    except SystemExit as error:
        if is_remote(error):
            os._exit(FAILED)
        raise


def _mark_judged(tests: str, names: dict[str, Any]) -> None:
    """Mark the classes that tests name: what they cannot ask of these, they cannot do without.

    A class without a capital is in place of a function, and no reason to reject the tests.
    """
    used = {node.id for node in ast.walk(ast.parse(tests)) if isinstance(node, ast.Name)}
    for name in used & names.keys():
        if isinstance(names[name], Mirror) and name.lstrip("_")[:1].isupper():
            type.__setattr__(names[name], "_judged", True)


def _not_builtin(names: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Drop the names of builtins: no solution changes what `abs` means to the tests.

    The tests also have their own of what a solution has from the standard library.
    """
    for name, value in names.items():
        if name.startswith("__") or name in BUILTINS:
            continue
        if not hasattr(builtins, name) or _module(value) not in sys.stdlib_module_names:
            yield name, value


def _module(value: Any) -> Any:
    if isinstance(value, Mirror):
        return value.__module__
    return value._r1trl[0]("getattr", value, "__module__", None) if is_remote(value) else None


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
