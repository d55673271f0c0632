"""A fork server: scoring processes are forked from a parent that has imported the verifiers.

Importing takes seconds and forking milliseconds, so a killed process is replaced at once.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from multiprocessing.reduction import send_handle
from typing import Any

from r1trl.rewards.limits import children, kill_tree, process_table

START_SECONDS = 120.0
END_SECONDS = 10.0  # until a killed process is gone


class Process:
    """A process at the other end of a connection.

    `loaded` maps the verifiers that it has imported and set up to the errors of that, None if all
    went well.
    """

    def __init__(
        self, pid: int, connection: Any, loaded: Mapping[Any, str | None] | None = None
    ) -> None:
        self.pid, self.connection = pid, connection
        self.loaded: dict[Any, str | None] = dict(loaded or {})

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

    def load(self, verifier: Any) -> str | None:
        """Make the process import the verifier at an ImportPath, unless it already has.

        Returns why that or its `setup` failed, or None.
        """
        if verifier not in self.loaded:
            kind, error = self.request(("load", verifier, START_SECONDS), START_SECONDS)
            self.loaded[verifier] = str(error) if kind == "error" else None
        return self.loaded[verifier]

    @property
    def has_sent(self) -> bool:
        """True if there is a reply to read, or the process has died; when idle, it has died."""
        return bool(self.connection.poll(0))

    def kill(self) -> None:
        """Kill the process and those that it has started; a pending `recv` raises EOFError."""
        kill_tree(self.pid)

    def close(self) -> None:
        """Wait until the killed process is gone, and close the connection."""
        with suppress(TimeoutError, EOFError):
            while True:
                self.recv(END_SECONDS)
        self.connection.close()


class ForkServer:
    """Fork scoring processes from one parent process; restart the parent if it has died.

    The parent adopts what a scoring process leaves running when it dies.
    """

    def __init__(self) -> None:
        self._parent: Process | None = None
        self._own: set[int] = set()  # children that are not left over: forked, or of a `setup`
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
        for verifier in set(verifiers) - parent.loaded.keys():
            parent.load(verifier)
            self._own |= children(parent.pid, process_table())
        mine, theirs = Pipe()
        with theirs:
            parent.send(("fork", None, START_SECONDS))
            try:
                send_handle(parent.connection, theirs.fileno(), parent.pid)
            except OSError as error:
                raise EOFError from error
        process = Process(parent.recv(START_SECONDS), mine, parent.loaded)
        self._own.add(process.pid)
        return process

    def end(self, process: Process) -> None:
        """Kill a scoring process and all that it has started, and wait until it is gone."""
        process.kill()
        with self._lock:
            self._own.discard(process.pid)
            ends = time.monotonic() + END_SECONDS
            while self._parent and time.monotonic() < ends:
                left = children(self._parent.pid, process_table()) - self._own
                if not left:
                    break
                for pid in left:
                    kill_tree(pid)
        process.close()

    def _start(self) -> Process:
        mine, theirs = Pipe()
        with theirs:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", "r1trl.rewards.process", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # outlives its parent's group, to end what it has forked
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
                    "OMP_NUM_THREADS": "1",  # threads do not survive a fork
                },
            )
        return Process(self._popen.pid, mine)

    def _stop(self) -> None:
        if self._parent:
            self._parent.kill()
            self._parent.close()
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
