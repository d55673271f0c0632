"""Sandboxes on this machine: how their processes are fed, watched and ended.

Input and output are files, so a program that never reads blocks nobody, and what it may print is
the size that a file may have. A process says on stderr when it has started; the clock runs from
then, and one that never says so is a fault of the sandbox, not of the program.
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
from r1trl_code.programs import judging, serving
from r1trl_code.sandbox import Limits, Ran, SandboxError

START_SECONDS = 30.0
KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)
Process = subprocess.Popen[bytes]


@dataclass(frozen=True)
class Local:
    """A sandbox made of `start(program, stdin, stdout)`, which starts a process in it."""

    start: Callable[[str, Any, Any], Process]

    def run(self, program: str, stdin: str, limits: Limits) -> Ran:
        """Run a program."""
        with file_of(stdin.encode()) as given, file_of(b"") as printed:
            with self._started(program, given, printed) as process:
                await_start(process)
                status = wait(process, limits.seconds)
            return Ran(text_of(printed), status)

    def judge(self, tests: str, solution: str, limits: Limits) -> Ran:
        """Run tests and a solution in a sandbox each, with a socket between them."""
        with file_of(b"") as printed, ExitStack() as stack:
            ours, theirs = socket.socketpair()
            with ours, theirs:
                programs = serving(solution, limits), judging(tests, limits)
                server = stack.enter_context(self._started(programs[0], theirs, theirs))
                judge = stack.enter_context(self._started(programs[1], ours, printed))
            await_start(server)
            await_start(judge)
            status = wait(judge, limits.seconds)
            return Ran(text_of(printed), status)

    @contextmanager
    def _started(self, program: str, stdin: Any, stdout: Any) -> Iterator[Process]:
        process = self.start(program, stdin, stdout)
        try:
            yield process
        finally:
            end(process)


def await_start(process: Process) -> None:
    """Wait until a process says that it has started; raise SandboxError if it does not."""
    assert process.stderr
    said, deadline = b"", time.monotonic() + START_SECONDS
    while not said.endswith(STARTED):
        ready, _, _ = select.select([process.stderr], [], [], max(0, deadline - time.monotonic()))
        more = os.read(ready[0].fileno(), 4096) if ready else b""
        if not more:
            story = said.decode(errors="replace").strip()
            raise SandboxError(story or f"nothing has started within {START_SECONDS:g} s")
        said += more


def wait(process: Process, seconds: float) -> int | None:
    """Return the status with which a process ends; None if it is killed, or has not ended."""
    assert process.stderr
    deadline = time.monotonic() + seconds
    # Closed when all of a sandbox has ended: this returns at once where Popen.wait() would poll.
    select.select([process.stderr], [], [], seconds)
    try:
        status = process.wait(max(0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return None
    return None if status in KILLED else status


def end(process: Process) -> None:
    """Kill a process with its group, and reap it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert process.stderr
    process.stderr.close()


@contextmanager
def file_of(content: bytes) -> Iterator[Any]:
    """Make an unnamed file with a content, to be read from its beginning."""
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.seek(0)
        yield file


def text_of(file: Any) -> str:
    """Return all that is in a file, as text."""
    file.seek(0)
    return str(file.read().decode(errors="replace"))


def start_unsandboxed(program: str, stdin: Any, stdout: Any) -> Process:
    """Start a program as a process like any other, which may do all that its user may."""
    with file_of(program.encode()) as source:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", f"/dev/fd/{source.fileno()}"],
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            pass_fds=(source.fileno(),),
            cwd=tempfile.gettempdir(),
            start_new_session=True,
        )
