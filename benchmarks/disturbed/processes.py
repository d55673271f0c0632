"""The processes of a run, by what they do, and the ways in which they are disturbed."""

import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import psutil

from disturbed.runs import MARK, SmallRun

AGAIN = 0.5  # seconds between the first and the second Ctrl-C


@dataclass(frozen=True)
class Found:
    """A process of a run: its number, its parent's, and its command."""

    pid: int
    parent: int
    command: str


def processes_of(run: SmallRun) -> dict[int, Found]:
    """Return the processes of a run by their numbers; they have its mark in their environment."""
    found = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == str(run.folder):
                pid, command = process.pid, " ".join(process.cmdline())
                if process.status() != psutil.STATUS_ZOMBIE:
                    found[pid] = Found(pid, process.ppid(), command)
    return found


def warm(driver: int, found: Mapping[int, Found]) -> list[int]:
    """Return the driver's own child: the process that has imported torch, or the launcher."""
    launchers = [p.pid for p in found.values() if "launch" in p.command and p.parent == driver]
    return launchers or [
        p.pid for p in found.values() if "r1trl.run.warm" in p.command and p.parent == driver
    ]


def ranks(driver: int, found: Mapping[int, Found]) -> list[int]:
    """Return the processes that carry a stage out."""
    above = set(warm(driver, found))
    below = [p for p in found.values() if p.parent in above and "rewards.process" not in p.command]
    return sorted(p.pid for p in below)


def scorers(driver: int, found: Mapping[int, Found]) -> list[int]:
    """Return the scoring processes, without the one that they are forked from."""
    scoring = {p.pid: p for p in found.values() if "r1trl.rewards.process" in p.command}
    return sorted(p.pid for p in scoring.values() if p.parent in scoring)


@dataclass(frozen=True)
class Disturbance:
    """Something done to a run: which processes get a signal, and how the command may end then.

    Without `ends` it goes on.
    """

    who: Callable[[int, Mapping[int, Found]], list[int]]
    number: int
    ends: tuple[int, ...]
    twice: bool = False


def everything(driver: int, found: Mapping[int, Found]) -> list[int]:
    """Return all processes."""
    return list(found)


def driver_alone(driver: int, found: Mapping[int, Found]) -> list[int]:
    """Return the command itself."""
    return [driver]


DISTURBANCES: Mapping[str, Disturbance] = {
    "kill -9 of everything": Disturbance(everything, signal.SIGKILL, (-9,)),
    "kill -9 of the driver": Disturbance(driver_alone, signal.SIGKILL, (-9,)),
    "kill -9 of the warm process or launcher": Disturbance(warm, signal.SIGKILL, (1,)),
    "kill -9 of one rank": Disturbance(ranks, signal.SIGKILL, (1,)),
    "kill -9 of a scoring process": Disturbance(scorers, signal.SIGKILL, ()),
    "SIGTERM": Disturbance(driver_alone, signal.SIGTERM, (3,)),
    "SIGHUP": Disturbance(driver_alone, signal.SIGHUP, (3,)),
    # -2, for a shell 130 as well: the second one comes when Python itself is about to end.
    "Ctrl-C twice": Disturbance(driver_alone, signal.SIGINT, (3, 130, -2), twice=True),
}
WITH_SCORING = ("grpo", "rloo", "sample", "evaluate")  # kinds of stages that have such processes
ONE = ("kill -9 of one rank", "kill -9 of a scoring process")  # of which one is chosen


def disturb(name: str, driver: int, run: SmallRun, choose: Callable[[list[int]], int]) -> bool:
    """Do it; return False if there is no such process now."""
    disturbance = DISTURBANCES[name]
    pids = disturbance.who(driver, processes_of(run))
    if not pids:
        return False
    for pid in [choose(pids)] if name in ONE else pids:
        with suppress(ProcessLookupError):
            os.kill(pid, disturbance.number)
    if disturbance.twice:
        time.sleep(AGAIN)
        with suppress(ProcessLookupError):
            os.kill(driver, disturbance.number)
    return True


def wait_until_gone(run: SmallRun, seconds: float) -> list[str]:
    """Wait until a run has no processes; return the commands of those left, which are killed."""
    end = time.monotonic() + seconds
    while (found := processes_of(run)) and time.monotonic() < end:
        time.sleep(0.05)
    for pid in found:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return [process.command for process in found.values()]
