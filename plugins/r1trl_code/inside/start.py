"""The start of every program in a sandbox: it sets limits and reports that it has started."""

import builtins
import math
import os
import resource
import sys
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any, NoReturn

BUILTINS = frozenset(dir(builtins)) | {"exit", "quit"}
STARTED = b"r1trl: started\n"
OPEN_FILES = 64


def limit_process(seconds: float, memory_mb: int, output_bytes: int) -> None:
    """Limit this process for good, write STARTED to stderr, and redirect stderr to /dev/null.

    RLIMIT_NPROC is not set: it does not hold for root, and for other users it counts processes
    outside too; the sandbox refuses new processes.
    """
    limits = {
        resource.RLIMIT_CPU: math.ceil(seconds),
        resource.RLIMIT_FSIZE: output_bytes,
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_CORE: 0,
    }
    if sys.platform == "linux":  # macOS refuses it
        limits[resource.RLIMIT_AS] = memory_mb << 20
    for kind, value in limits.items():
        _, allowed = resource.getrlimit(kind)
        limit = value if allowed == resource.RLIM_INFINITY else min(value, allowed)
        resource.setrlimit(kind, (limit, limit))
    os.write(2, STARTED)
    redirect_to_null(2, os.O_WRONLY)


def redirect_to_null(number: int, flags: int) -> None:
    """Redirect a file descriptor to /dev/null."""
    null = os.open(os.devnull, flags)
    os.dup2(null, number)
    os.close(null)


def predefine(names: Mapping[str, str]) -> None:
    """Predefine `exit` and `quit`, and names of standard modules: each `module` or `module.name`.

    They are builtins, so a program's own names come first. The module `site`, which defines `exit`
    elsewhere, is not loaded here.
    """

    def leave(code: Any = None) -> NoReturn:
        raise SystemExit(code)

    vars(builtins).update(exit=leave, quit=leave)
    for name, path in names.items():
        module, _, inner = path.rpartition(".")
        loaded = __import__(module or inner, fromlist=[inner])
        if not module or hasattr(loaded, inner):  # an older Python has fewer
            setattr(builtins, name, getattr(loaded, inner) if module else loaded)


def load(source: str, name: str, names: Iterable[tuple[str, Any]] = ()) -> ModuleType:
    """Run a source as a module with this name, with `names` predefined in it."""
    module = sys.modules[name] = ModuleType(name)
    module.__dict__.update(names)
    exec(compile(source, f"{name}.py", "exec"), module.__dict__)  # noqa: S102 - its purpose
    return module


def load_solution(source: str) -> ModuleType:
    """Run a solution as a module; one that exits with status 0 has ended as it should."""
    try:
        return load(source, "solution")
    except SystemExit as error:
        if error.code not in (None, 0):
            raise
        return sys.modules["solution"]


def run_script(source: str) -> None:
    """Run a solution as a script."""
    sys.argv = ["solution.py"]
    load(source, "__main__")
