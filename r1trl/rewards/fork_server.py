"""Scoring processes, forked from one that has imported the verifiers, which takes seconds.

So one that was killed is replaced within milliseconds.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from multiprocessing.reduction import send_handle
from typing import Any

START_SECONDS = 120.0


class Process:
    """A process at the other end of a connection."""

    def __init__(self, pid: int, connection: Any, prepared: Iterable[Any] = ()) -> None:
        self.pid, self.connection = pid, connection
        self.prepared = set(prepared)

    def ask(self, message: Any, seconds: float) -> Any:
        """Send a message and return the answer; raise TimeoutError or EOFError."""
        self.tell(message)
        return self.answer(seconds)

    def tell(self, message: Any) -> None:
        """Send a message; raise EOFError where nobody is there."""
        try:
            self.connection.send(message)
        except OSError as error:
            raise EOFError from error

    def answer(self, seconds: float) -> Any:
        """Wait for an answer; raise TimeoutError or EOFError."""
        try:
            if not self.connection.poll(seconds):
                raise TimeoutError
            return self.connection.recv()
        except ConnectionError as error:
            raise EOFError from error

    def prepare(self, verifier: Any) -> None:
        """Have the process import a verifier, once."""
        if verifier not in self.prepared:
            self.ask(("prepare", verifier, START_SECONDS), START_SECONDS)
            self.prepared.add(verifier)

    @property
    def has_gone(self) -> bool:
        """Tell whether a process that owes no answer is dead."""
        return bool(self.connection.poll(0))

    def kill(self) -> None:
        """Kill the process; whoever waits for its answer hears so."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def end(self) -> None:
        """Kill the process, wait until it has gone, and let go of it."""
        self.kill()
        with suppress(TimeoutError, EOFError):
            while True:
                self.answer(START_SECONDS)
        self.connection.close()


class ForkServer:
    """Forks scoring processes; starts again where the process that it forks from has died."""

    def __init__(self) -> None:
        self._template: Process | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def fork(self, verifiers: Iterable[Any]) -> Process:
        """Return a new process that has imported these verifiers, and those before them."""
        with self._lock:
            try:
                return self._fork(verifiers)
            except EOFError:
                self._end()
                return self._fork(verifiers)

    def _fork(self, verifiers: Iterable[Any]) -> Process:
        template = self._template = self._template or self._start()
        for verifier in verifiers:
            template.prepare(verifier)
        mine, theirs = Pipe()
        with theirs:
            template.tell(("fork", None, START_SECONDS))
            try:
                send_handle(template.connection, theirs.fileno(), template.pid)
            except OSError as error:
                raise EOFError from error
        return Process(template.answer(START_SECONDS), mine, template.prepared)

    def _start(self) -> Process:
        mine, theirs = Pipe()
        with theirs:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "r1trl.rewards.process", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
                    "OMP_NUM_THREADS": "1",  # threads do not survive a fork
                },
            )
        return Process(self._child.pid, mine)

    def _end(self) -> None:
        if self._template:
            self._template.end()
            assert self._child
            self._child.wait()
            self._template = None

    def close(self) -> None:
        """End the process that is forked from; those that were forked end when they are let go."""
        with self._lock:
            self._end()


def connection_of(handle: int) -> Any:
    """Return the connection with a file descriptor."""
    return Connection(handle)
