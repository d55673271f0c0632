"""What is the matter with a stage's ranks, by their heartbeats: one is dead, stopped, or all hang.

The clocks of hosts are not compared: what counts is how long ago this process saw a file change.
And whether a rank still reaches the host of rank 0, where all ranks meet: a collective over a cable
that somebody has pulled fails after its time-out only, and what ranks write to a disk may arrive.
"""

import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from r1trl.watch.beats import Beat, read_beats
from r1trl.watch.control import Bounds
from r1trl.watch.processes import GONE, RUNS, STOPPED

ADDRESS, PORT = "MASTER_ADDR", "MASTER_PORT"  # of torch's store, which answers while a stage runs
TRY_SECONDS = 2.0


@dataclass(frozen=True)
class Trouble:
    """What is the matter with the ranks, of one of them; `died` if it has ended by itself.

    `beat` is None if none has begun.
    """

    beat: Beat | None
    what: str
    died: bool = False

    def __str__(self) -> str:
        return f"{self.beat} {self.what}" if self.beat else self.what


@dataclass
class Look:
    """Looks at the ranks of the stage in a folder again and again.

    `fresh` says that the folder was cleared before they began; else a beat that never changes, of a
    process that is not seen to live, is one of an earlier attempt.
    """

    folder: Path
    bounds: Bounds
    fresh: bool = True
    clock: Callable[[], float] = time.monotonic
    beaten: dict[int, tuple[int, float]] = field(default_factory=dict)  # number, first seen when
    done: dict[int, tuple[int, float]] = field(default_factory=dict)
    began: float = field(init=False)
    living: set[int] = field(default_factory=set)  # ranks that have been seen to live

    def __post_init__(self) -> None:
        """Remember when the ranks were started."""
        self.began = self.clock()

    def trouble(self) -> Trouble | None:
        """Return what is the matter now, or None."""
        beats, now = read_beats(self.folder), self.clock()
        for beat in beats:
            again = _see(self.beaten, beat.rank, beat.number, now)
            _see(self.done, beat.rank, beat.done, now)
            if self.fresh or again or beat.process.state in (RUNS, STOPPED):
                self.living.add(beat.rank)
        going = [beat for beat in beats if beat.ended is None and beat.rank in self.living]
        for beat in going:
            if trouble := self._silence(beat, now - self.beaten[beat.rank][1]):
                return trouble
        if not beats and self.fresh and now - self.began > self.bounds.timeout:
            within = f"within launch.timeout={self.bounds.timeout:g} s"
            return Trouble(None, f"no process of the stage has begun {within}")
        if going and now - max(self.done[b.rank][1] for b in going) > self.bounds.timeout:
            slowest = min(going, key=lambda beat: (beat.done, self.done[beat.rank][1]))
            return Trouble(slowest, self._hung(slowest))
        return None

    def _silence(self, beat: Beat, seconds: float) -> Trouble | None:
        state = beat.process.state
        if state == GONE and not _has_ended(self.folder, beat.rank):
            return Trouble(beat, "has died", died=True)
        if state == GONE or seconds <= self.bounds.watchdog:
            return None
        is_ = "is stopped" if state == STOPPED else "is dead, or stopped"
        bound = f"watchdog.seconds={self.bounds.watchdog:g}"
        return Trouble(beat, f"{is_}: it gave no sign of life for {seconds:.0f} s ({bound})")

    def _hung(self, beat: Beat) -> str:
        at = f"at step {beat.step}" if beat.step is not None else "outside its steps"
        return (
            f"hangs {at}, and with it the stage: no process got anything done for "
            f"{self.bounds.timeout:g} s (launch.timeout)"
        )


def _see(seen: dict[int, tuple[int, float]], rank: int, number: int, now: float) -> bool:
    """Note a rank's number, if it is new; return True if it had another before."""
    before = seen.get(rank)
    if before is None or before[0] != number:
        seen[rank] = (number, now)
    return before is not None and before[0] != number


def _has_ended(folder: Path, rank: int) -> bool:
    """Return True if a rank has said its end since its beat was read."""
    return any(beat.ended is not None for beat in read_beats(folder) if beat.rank == rank)


class Link:
    """Tries the way to rank 0's host, unless this is it; `seconds` without an answer break it."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.answered: float | None = None
        ranks = (os.environ.get(name, "1") for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
        far = len(set(ranks)) > 1 and os.environ.get("GROUP_RANK", "0") != "0"
        self.where = (os.environ[ADDRESS], int(os.environ[PORT])) if far else None

    def problem(self) -> str | None:
        """Try once, if there is a way; return what is wrong if it is broken for too long."""
        if self.where is None:
            return None
        now = time.monotonic()
        with suppress(OSError):
            socket.create_connection(self.where, timeout=TRY_SECONDS).close()
            self.answered = now
        if self.answered is None or now - self.answered <= self.seconds:
            return None
        host, port = self.where
        silent = now - self.answered
        return (
            f"{socket.gethostname()} has not reached {host} at port {port}, where all ranks meet, "
            f"for {silent:.0f} s: the network between them, or that host, is down"
        )
