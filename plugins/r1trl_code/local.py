"""Sandboxes on this machine: the input, output and end of their processes.

Input and output are files, so a program that never reads cannot block, and the limit on file sizes
limits its output. A process writes to stderr when it has started; its time counts from then, and if
it never starts, the sandbox is at fault, not the program.
"""

import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from r1trl_code.inside.start import STARTED
from r1trl_code.programs import judge_program, server_program
from r1trl_code.sandbox import Limits, RunResult, SandboxError

START_SECONDS = 30.0
KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)
Process = subprocess.Popen[bytes]


@dataclass(frozen=True)
class LocalSandbox:
    """A sandbox made of `start(program, stdin, stdout)`, which starts a process in it."""

    start: Callable[[str, Any, Any], Process]

    def run(self, program: str, stdin: str, limits: Limits) -> RunResult:
        """Run a program; raise SandboxError if it does not start."""
        with temporary_file(stdin.encode()) as stdin_file, temporary_file(b"") as printed:
            with self._started(program, stdin_file, printed) as process:
                wait_until_started(process)
                status = wait(process, limits.seconds)
            return RunResult(read_text(printed), status)

    def judge(self, tests: str, solution: str, limits: Limits) -> RunResult:
        """Run tests and solution in two sandboxes, connected by a socket."""
        with temporary_file(b"") as printed, ExitStack() as stack:
            ours, theirs = socket.socketpair()
            with ours, theirs:
                programs = server_program(solution, limits), judge_program(tests, limits)
                server = stack.enter_context(self._started(programs[0], theirs, theirs))
                judge = stack.enter_context(self._started(programs[1], ours, printed))
            wait_until_started(server)
            wait_until_started(judge)
            status = wait(judge, limits.seconds)
            return RunResult(read_text(printed), status)

    @contextmanager
    def _started(self, program: str, stdin: Any, stdout: Any) -> Iterator[Process]:
        process = self.start(program, stdin, stdout)
        try:
            yield process
        finally:
            kill_group(process)


def wait_until_started(process: Process) -> None:
    """Wait until a process reports that it has started; raise SandboxError if it does not."""
    assert process.stderr
    stderr, deadline = b"", time.monotonic() + START_SECONDS
    while not stderr.endswith(STARTED):
        readable, _, _ = select.select(
            [process.stderr], [], [], max(0, deadline - time.monotonic())
        )
        more = os.read(readable[0].fileno(), 4096) if readable else b""
        if not more:
            message = stderr.decode(errors="replace").strip()
            raise SandboxError(message or f"nothing has started within {START_SECONDS:g} s")
        stderr += more


def wait(process: Process, seconds: float) -> int | None:
    """Return a process's exit status; None if it was killed, or has not ended in `seconds`."""
    assert process.stderr
    deadline = time.monotonic() + seconds
    # Closed when all processes of the sandbox have ended: select() returns at once, unlike
    # Popen.wait(), which polls.
    select.select([process.stderr], [], [], seconds)
    try:
        status = process.wait(max(0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return None
    return None if status in KILLED else status


def kill_group(process: Process) -> None:
    """Kill a process with its group, and reap it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert process.stderr
    process.stderr.close()


@contextmanager
def temporary_file(content: bytes) -> Iterator[Any]:
    """Yield an unnamed file with this content, positioned at its beginning."""
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.seek(0)
        yield file


def read_text(file: Any) -> str:
    """Return the whole content of a file as text."""
    file.seek(0)
    return str(file.read().decode(errors="replace"))


def start_unsandboxed(program: str, stdin: Any, stdout: Any) -> Process:
    """Start a program as an ordinary process with all the rights of its user."""
    with temporary_file(program.encode()) as source:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", f"/dev/fd/{source.fileno()}"],
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            pass_fds=(source.fileno(),),
            cwd=tempfile.gettempdir(),
            start_new_session=True,
        )
