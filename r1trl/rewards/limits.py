"""The limits of a slow sample: what its processes take of the machine, and their end.

`deadline` counts seconds in which the sample ran or slept: the CPU time of its processes, or the
time since it began without that in which its main process waited for a core, whichever is more; a
busy machine costs it nothing. Elsewhere than on Linux it is CPU time alone. `patience` bounds the
time on the clock. Its processes may hold MEMORY_BYTES, and what all slow samples of a pool have
taken may not exceed what is left: the largest then ends.
"""

import ctypes
import functools
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import psutil

MEMORY_BYTES = 4 << 30
POLL_SECONDS = (0.05, 0.25)  # the first and the longest pause between two looks at a sample
TABLE_SECONDS = 0.1  # looks at several samples share a table of this age
SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of prctl(2)
# A control group's limit, what is in use, and in memory.stat the prefix of what can be dropped.
CONTROL_FILES = (
    ("memory.max", "memory.current", ""),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
)


class Entry(NamedTuple):
    """A process: its parent, CPU seconds with those of children that it has reaped, bytes."""

    parent: int
    seconds: float
    bytes: int
    is_zombie: bool


Table = dict[int, Entry]


def process_table() -> Table:
    """Return all processes of the machine that can be seen."""
    if sys.platform == "linux":
        return dict(_linux_entries())
    table = {}
    for process in psutil.process_iter(["ppid", "cpu_times", "memory_info"]):
        parent, times, memory = map(process.info.get, ("ppid", "cpu_times", "memory_info"))
        if times and memory:
            table[process.pid] = Entry(parent, sum(times[:2]), memory.rss, False)
    return table


def _linux_entries() -> Iterator[tuple[int, Entry]]:
    """Yield what /proc/PID/stat has of every process: psutil would take ten times as long."""
    tick, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
            seconds, held = sum(map(int, fields[11:15])) / tick, int(fields[21]) * page
            yield int(name), Entry(int(fields[1]), seconds, held, fields[0] in b"ZX")


def children(pid: int, table: Table) -> set[int]:
    """Return the children of a process that have not ended."""
    return {p for p, entry in table.items() if entry.parent == pid and not entry.is_zombie}


def tree(pid: int, table: Table) -> set[int]:
    """Return a process and all that descend from it."""
    found = new = {pid}
    while new := {p for p, entry in table.items() if entry.parent in new} - found:
        found = found | new
    return found


def kill_tree(pid: int) -> None:
    """Kill a process, its group, and all that descend from it, but for those of another user."""
    found = tree(pid, process_table())
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    for each in found:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(each, signal.SIGKILL)


def adopt_orphans() -> None:
    """Make this process the parent of descendants whose own one ends: none is out of sight."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)


def waited(pid: int) -> float | None:
    """Return the seconds in which a process's main thread waited for a core; None if unknown."""
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    return None


def free_memory() -> int:
    """Return the bytes that can still be taken: of the machine, and of its control groups."""
    available: int = psutil.virtual_memory().available
    return min([available, *map(_left_in, _control_groups())])


@functools.cache
def _control_groups() -> list[Path]:
    """Return the folders of the control groups that this process is in, if they limit memory."""
    file, folders = Path("/proc/self/cgroup"), list[Path]()
    for line in file.read_text().splitlines() if file.exists() else ():
        _, controllers, path = line.split(":", 2)
        if controllers in ("", "memory"):
            root = Path("/sys/fs/cgroup") / controllers
            below = root / path.strip("/")
            folders += [below, *(each for each in below.parents if each.is_relative_to(root))]
    return [folder for folder in folders if any((folder / f[0]).exists() for f in CONTROL_FILES)]


def _left_in(folder: Path) -> int:
    for limit, used, prefix in CONTROL_FILES:
        with suppress(OSError, ValueError):  # of the other version, or the limit is the word max
            most = int((folder / limit).read_text())
            stat = dict(map(str.split, (folder / "memory.stat").read_text().splitlines()))
            files = int(stat[f"{prefix}inactive_file"]) + int(stat[f"{prefix}active_file"])
            return most - int((folder / used).read_text()) + files
    return sys.maxsize


class Limits:
    """The limits of a pool's samples; `taken` has each slow one's bytes, by its process."""

    def __init__(self, deadline: float, patience: float) -> None:
        self.deadline, self.patience = deadline, patience
        self.taken: dict[int, int] = {}
        self._lock = threading.Lock()
        self._table, self._read_at, self._read_seconds = Table({}), 0.0, 0.0

    def wait(self, process: Any, start: float) -> tuple[str, Any]:
        """Return a slow sample's reply, or ("timeout" or "memory", why it must end).

        `start` is when the sample began, in `time.monotonic`. Raises EOFError if it dies.
        """
        pid, (pause, longest) = process.pid, POLL_SECONDS
        began, waiting = self._usage(pid, start), waited(pid)
        try:
            while True:
                with suppress(TimeoutError):
                    return process.recv(pause)  # type: ignore[no-any-return]
                age = max(TABLE_SECONDS, 20 * self._read_seconds)  # reads take a 20th of a core
                pause, now = min(2 * pause, longest), self._usage(pid, time.monotonic() - age)
                if now is None and not process.has_sent:  # a child may hold its connection open
                    raise EOFError
                if now is None:
                    continue
                wall, still = time.monotonic() - start, waited(pid)
                slept = 0.0 if waiting is None or still is None else wall - (still - waiting)
                ran = now.seconds - (began.seconds if began else 0.0)
                self.taken[pid] = now.bytes
                ended = self._timeout(max(ran, slept), wall) or self._memory(pid)
                if ended and not process.has_sent:  # this thread may have been held up
                    return ended
        finally:
            self.taken.pop(pid, None)

    def _timeout(self, ran: float, wall: float) -> tuple[str, str] | None:
        if ran >= self.deadline:
            return "timeout", f"no verdict within {self.deadline:g} s"
        if wall >= self.patience:
            held = f"it ran or slept {ran:.1f} s of scoring.deadline={self.deadline:g}"
            return "timeout", f"no verdict within scoring.patience={self.patience:g} s; {held}"
        return None

    def _memory(self, pid: int) -> tuple[str, str] | None:
        taken = dict(self.taken)
        if taken[pid] > MEMORY_BYTES:
            return "memory", f"MemoryError: its processes hold over {MEMORY_BYTES >> 30} GiB"
        if taken[pid] == max(taken.values()) and sum(taken.values()) > (left := free_memory()):
            return "memory", f"MemoryError: it takes the most, and {left >> 20} MiB are left"
        return None

    def _usage(self, pid: int, since: float) -> Entry | None:
        """Return what a sample's processes had taken at `since` or later; None if it has died."""
        with self._lock:
            if self._read_at < since:
                self._read_at, self._table = time.monotonic(), process_table()
                self._read_seconds = time.monotonic() - self._read_at
            table = self._table
        own = table.get(pid)
        if own is None or own.is_zombie:
            return None
        entries = [table[each] for each in tree(pid, table)]
        shared = table[own.parent].bytes if own.parent in table else 0  # it is forked from it
        held = max(0, sum(entry.bytes for entry in entries) - shared)
        return own._replace(seconds=sum(entry.seconds for entry in entries), bytes=held)
