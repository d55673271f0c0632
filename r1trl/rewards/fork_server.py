"""A fork server: scoring processes are forked from a parent that has imported the verifiers.

Importing takes seconds and forking milliseconds, so a killed process is replaced at once.
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
    """A process at the other end of a connection; `loaded` are the verifiers it has imported."""

    def __init__(self, pid: int, connection: Any, loaded: Iterable[Any] = ()) -> None:
        self.pid, self.connection = pid, connection
        self.loaded = set(loaded)

    def request(self, message: Any, seconds: float) -> Any:
        """Send a message and return the reply; raise TimeoutError or EOFError."""
        self.send(message)
        return self.recv(seconds)

    def send(self, message: Any) -> None:
        """Send a message; raise EOFError if the process is dead."""
        try:
            self.connection.send(message)
        except OSError as error:
            raise EOFError from error

    def recv(self, seconds: float) -> Any:
        """Wait for a reply and return it; raise TimeoutError, or EOFError if the process dies."""
        try:
            if not self.connection.poll(seconds):
                raise TimeoutError
            return self.connection.recv()
        except ConnectionError as error:
            raise EOFError from error

    def load(self, verifier: Any) -> None:
        """Make the process import the verifier at an ImportPath, unless it already has."""
        if verifier not in self.loaded:
            self.request(("load", verifier, START_SECONDS), START_SECONDS)
            self.loaded.add(verifier)

    @property
    def is_dead(self) -> bool:
        """True if an idle process has died: only then is there anything to read from it."""
        return bool(self.connection.poll(0))

    def kill(self) -> None:
        """Kill the process; a pending `recv` raises EOFError."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def terminate(self) -> None:
        """Kill the process, wait until it is dead, and close the connection."""
        self.kill()
        with suppress(TimeoutError, EOFError):
            while True:
                self.recv(START_SECONDS)
        self.connection.close()


class ForkServer:
    """Fork scoring processes from one parent process; restart the parent if it has died."""

    def __init__(self) -> None:
        self._parent: Process | None = None
        self._popen: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def fork(self, verifiers: Iterable[Any]) -> Process:
        """Return a new process that has imported these verifiers and all earlier ones."""
        with self._lock:
            try:
                return self._fork(verifiers)
            except EOFError:
                self._stop()
                return self._fork(verifiers)

    def _fork(self, verifiers: Iterable[Any]) -> Process:
        parent = self._parent = self._parent or self._start()
        for verifier in verifiers:
            parent.load(verifier)
        mine, theirs = Pipe()
        with theirs:
            parent.send(("fork", None, START_SECONDS))
            try:
                send_handle(parent.connection, theirs.fileno(), parent.pid)
            except OSError as error:
                raise EOFError from error
        return Process(parent.recv(START_SECONDS), mine, parent.loaded)

    def _start(self) -> Process:
        mine, theirs = Pipe()
        with theirs:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", "r1trl.rewards.process", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
                    "OMP_NUM_THREADS": "1",  # threads do not survive a fork
                },
            )
        return Process(self._popen.pid, mine)

    def _stop(self) -> None:
        if self._parent:
            self._parent.terminate()
            assert self._popen
            self._popen.wait()
            self._parent = None

    def close(self) -> None:
        """Terminate the parent; a forked process ends when its connection is closed."""
        with self._lock:
            self._stop()


def connection_of(handle: int) -> Any:
    """Return the connection over a file descriptor."""
    return Connection(handle)
