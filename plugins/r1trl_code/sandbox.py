"""What a sandbox does: it runs a Python program, or tests against a solution that they cannot meet.

The tests and the solution are two programs that only exchange calls and plain values.
"""

from dataclasses import dataclass
from typing import Protocol

OUTPUT_BYTES = 8 << 20


class SandboxError(RuntimeError):
    """A sandbox does not work, which says nothing about the program."""


@dataclass(frozen=True)
class Limits:
    """What one program may use: `seconds` of the clock and of a core, MiB of memory."""

    seconds: float
    memory_mb: int


@dataclass(frozen=True)
class Ran:
    """How a program ended: its standard output, and its exit status, None if it was killed."""

    output: str
    status: int | None


class Sandbox(Protocol):
    """A place to run programs; both methods raise SandboxError where it does not work."""

    def run(self, program: str, stdin: str, limits: Limits) -> Ran:
        """Run a program made by `programs`."""
        ...

    def judge(self, tests: str, solution: str, limits: Limits) -> Ran:
        """Run tests against a solution, each a program of its own; status 0 means passed."""
        ...
