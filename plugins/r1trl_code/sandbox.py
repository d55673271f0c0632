"""The interface of a sandbox: it runs a Python program, or tests against an isolated solution.

The tests and the solution are two programs that only exchange calls and plain values.
"""

from dataclasses import dataclass
from typing import Protocol

OUTPUT_BYTES = 8 << 20


class SandboxError(RuntimeError):
    """A sandbox does not work; the program is not at fault."""


@dataclass(frozen=True)
class Limits:
    """The limits of one program: `seconds` of wall-clock and of CPU time, MiB of memory."""

    seconds: float
    memory_mb: int


@dataclass(frozen=True)
class RunResult:
    """The result of a program: its standard output and its exit status, None if it was killed."""

    output: str
    status: int | None


class Sandbox(Protocol):
    """A place to run programs; both methods raise SandboxError if it does not work."""

    def run(self, program: str, stdin: str, limits: Limits) -> RunResult:
        """Run a program made by `programs`."""
        ...

    def judge(self, tests: str, solution: str, limits: Limits) -> RunResult:
        """Run tests against a solution, each in its own process; status 0 means passed."""
        ...
