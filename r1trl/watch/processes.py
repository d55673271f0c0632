"""Processes of a run, by names that mean something on every host; their state and their end."""

import ctypes
import json
import os
import signal
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

from r1trl.rewards.limits import SUBREAPER, children, process_table, tree

GONE, STOPPED, RUNS, UNKNOWN = "gone", "stopped", "runs", "unknown"
# Until killed processes are gone, all of them and those of one look, and between two looks.
END_SECONDS, KILL_SECONDS, PAUSE = 1.0, 0.3, 0.02
PDEATHSIG = 1  # of prctl(2)
FIELD_OF_BIRTH = 19  # of /proc/PID/stat, after the state, which is number 0: the start in ticks


@dataclass(frozen=True)
class ProcessName:
    """A process: its host, the space in which its number is unique, the number, and its birth."""

    host: str
    space: str
    pid: int
    born: str

    def __str__(self) -> str:
        return f"{self.host}, pid {self.pid}"

    @property
    def text(self) -> str:
        """Return the name as a text, which `read` reads."""
        return json.dumps([self.host, self.space, self.pid, self.born])

    @classmethod
    def read(cls, text: str) -> Self:
        """Return the name with a text."""
        return cls(*json.loads(text))

    @property
    def is_here(self) -> bool:
        """Return True if its number means here what it means there."""
        return (self.host, self.space) == _here()

    @property
    def state(self) -> str:
        """Return GONE, STOPPED or RUNS; UNKNOWN of a process elsewhere."""
        if not self.is_here:
            return UNKNOWN
        if sys.platform != "linux":
            return RUNS if _answers(self.pid) else GONE
        letter, born = _stat(self.pid)
        if born != self.born or letter in "ZX":
            return GONE
        return STOPPED if letter in "Tt" else RUNS


def this_process() -> ProcessName:
    """Return the name of this process."""
    return name_of(os.getpid())


def name_of(pid: int) -> ProcessName:
    """Return the name of a process of this host."""
    return ProcessName(*_here(), pid, _stat(pid)[1])


@cache
def _here() -> tuple[str, str]:
    """Return this host's name, and the number of this process's space of process numbers."""
    space = ""
    with suppress(OSError):
        space = os.readlink("/proc/self/ns/pid")
    return socket.gethostname(), space


def _stat(pid: int) -> tuple[str, str]:
    """Return the letter of a process's state and its birth; empty if there is no such process."""
    with suppress(OSError, IndexError):
        text = Path(f"/proc/{pid}/stat").read_bytes()
        fields = text.rpartition(b")")[2].decode().split()
        return fields[0], fields[FIELD_OF_BIRTH]
    return "", ""


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def end_trees(roots: list[int]) -> None:
    """Kill processes of this host and all that descend from them; return when they are gone.

    One that another of them starts meanwhile is killed too: this process adopts it.
    """
    known = children(os.getpid(), process_table()) | set(roots)
    doomed, ends = set(roots), time.monotonic() + END_SECONDS
    _adopt(1)
    while time.monotonic() < ends:
        table = process_table()
        adopted = children(os.getpid(), table) - known
        doomed |= {pid for root in (*roots, *adopted) for pid in tree(root, table)}
        left = {pid for pid in doomed if pid in table and not table[pid].is_zombie}
        if not left:
            break
        _kill(left, min(ends, time.monotonic() + KILL_SECONDS))
    _adopt(0)
    for pid in doomed - known:
        with suppress(ChildProcessError):  # only what was adopted is a child
            os.waitpid(pid, os.WNOHANG)


def _kill(pids: set[int], until: float) -> None:
    """Kill processes, and wait until they are gone."""
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    while any(_stat(pid)[0] not in ("", *"ZX") for pid in pids) and time.monotonic() < until:
        time.sleep(PAUSE)


def _adopt(on: int) -> None:
    """Make this process the parent of descendants whose own one ends, or no longer."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SUBREAPER, on, 0, 0, 0)


def end_children() -> None:
    """Kill all processes that descend from this one."""
    end_trees(sorted(children(os.getpid(), process_table())))


def end_with_parent() -> None:
    """Ask Linux to end this process when its parent dies, however it dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PDEATHSIG, signal.SIGKILL)
