"""The first thing in a sandbox: limits, a sign of life, and then a program of its own."""

import math
import os
import resource
import sys
from collections.abc import Iterable
from types import ModuleType
from typing import Any

STARTED = b"r1trl: started\n"
OPEN_FILES = 64


def begin(seconds: float, memory_mb: int, output_bytes: int) -> None:
    """Limit this process for good and say so on stderr, which is closed to what comes after.

    The number of processes is no limit here: for root there is none, and for others it counts
    those outside too; the sandbox refuses them.
    """
    limits = {
        resource.RLIMIT_CPU: math.ceil(seconds),
        resource.RLIMIT_FSIZE: output_bytes,
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_CORE: 0,
    }
    if sys.platform == "linux":  # macOS refuses it
        limits[resource.RLIMIT_AS] = memory_mb << 20
    for kind, wanted in limits.items():
        _, allowed = resource.getrlimit(kind)
        most = wanted if allowed == resource.RLIM_INFINITY else min(wanted, allowed)
        resource.setrlimit(kind, (most, most))
    os.write(2, STARTED)
    replace(2, os.O_WRONLY)


def replace(number: int, flags: int) -> None:
    """Make a file descriptor one of /dev/null."""
    null = os.open(os.devnull, flags)
    os.dup2(null, number)
    os.close(null)


def load(source: str, name: str, names: Iterable[tuple[str, Any]] = ()) -> ModuleType:
    """Run a source as a module of a name in which some names are there already."""
    module = sys.modules[name] = ModuleType(name)
    module.__dict__.update(names)
    exec(compile(source, f"{name}.py", "exec"), module.__dict__)  # noqa: S102 - what we are for
    return module


def alone(source: str) -> None:
    """Run a solution as a script."""
    sys.argv = ["solution.py"]
    load(source, "__main__")
