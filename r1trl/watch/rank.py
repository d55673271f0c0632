"""A rank's side of watching: it beats, takes its driver's orders, and ends when it must.

Its thread needs nothing but the disk, so a rank that waits for others leaves and ends all the same.
"""

import contextlib
import faulthandler
import fcntl
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import IO, Any, Self

import psutil

from r1trl.errors import R1trlError
from r1trl.process.pulse import pulse
from r1trl.stage.ranks import rank
from r1trl.watch.beats import PERIOD, RANKS, Beat, clear, write_beat, write_error
from r1trl.watch.control import OwnDriver, bounds_of, read_control
from r1trl.watch.leaving import heeded
from r1trl.watch.lock import hold_locks
from r1trl.watch.look import Link, Look
from r1trl.watch.processes import end_children, this_process

FAILED, LEFT_EARLY = 1, 3
TICK = 0.5  # seconds between two looks at the control file
SHOWN_PERIOD = 1.0  # seconds between two beats of rank 0 while what it counts changes
COMPUTED = 0.02  # share of a core since the last beat that counts as progress outside steps


class RankWatch:
    """Watches this rank and its stage while the block runs; `status` is then the exit status.

    Raises R1trlError if the driver that started this rank is gone, or another has taken its place.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.rank, self.status = folder, rank(), FAILED
        self.bounds = bounds_of(folder)
        self.driver = OwnDriver(folder, self.bounds.watchdog)
        self.process = this_process()
        self.progress_at, self.done = time.time(), 0
        self.computed = (time.monotonic(), 0.0)  # until when, how many seconds
        self.shown: object = None  # what is for whoever looks on, as the last beat had it
        self.look = Look(folder, self.bounds, fresh=False)
        self.link = Link(self.bounds.watchdog)
        self.with_stacks = False
        self._before: dict[int, Any] = {}
        self._ended = threading.Event()
        self._locks: list[IO[str]] = []

    def __enter__(self) -> Self:
        self._locks = hold_locks(self.folder, self.driver.name, self.rank)
        if problem := self.driver.problem():
            self._release()
            raise R1trlError(f"{self.folder}: this worker has not begun: {problem}")
        clear(self.folder, str(self.rank))
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._receive) for number in heeded()}
        pulse.begin()
        self._beat()
        self.thread = threading.Thread(target=self._watch, name="r1trl-watch", daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.thread.join()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._beat(self.status)
        self._release()

    def _release(self) -> None:
        for lock in self._locks:
            fcntl.flock(lock, fcntl.LOCK_UN)  # forks of this process may have it open
            lock.close()

    def _watch(self) -> None:
        beaten, saves = time.monotonic(), pulse.saves
        shown = beaten
        while not self._ended.wait(TICK):
            alone = self._obey()
            if self.rank == 0 and time.monotonic() - shown >= SHOWN_PERIOD:
                shown = time.monotonic()
                if self.shown != _shown():
                    self._write()
            if pulse.saves != saves or time.monotonic() - beaten >= PERIOD:
                beaten, saves = time.monotonic(), pulse.saves
                self._beat()
                if alone and (trouble := self.look.trouble()):
                    self._fail(str(trouble))
                if problem := self.link.problem():
                    self._fail(problem)
            if pulse.overdue and time.monotonic() > pulse.overdue[0]:
                self._fail(pulse.overdue[1])
            if pulse.leave and not pulse.saves:
                self.end(f"left early on {pulse.leave}; the same command continues", LEFT_EARLY)
            if alone and time.monotonic() > pulse.leave_by:
                self.end(f"ended on {pulse.leave}, {self.bounds.grace:g} s later", LEFT_EARLY)

    def _obey(self) -> bool:
        """Do what the driver orders; return True if there is no driver, or none any more."""
        if self.driver.name is None:
            return True
        if problem := self.driver.problem():
            pulse.order(problem, time.monotonic() + self.bounds.grace)
            return True
        control = read_control(self.folder)
        if control and control.leave:
            seconds = self.bounds.grace if control.seconds is None else control.seconds
            pulse.order(control.leave, time.monotonic() + seconds)
        if control and control.stacks and not self.with_stacks:
            self._write_stacks()
        if control and control.end:
            self.end("ended by the driver", LEFT_EARLY if control.leave else FAILED)
        return False

    def _beat(self, ended: int | None = None) -> None:
        """Count what was done, and write a beat."""
        if pulse.elsewhere or (self._has_computed() and not pulse.in_step):
            pulse.done += 1
        if pulse.done != self.done:
            self.done, self.progress_at = pulse.done, time.time()
        self._write(ended)

    def _write(self, ended: int | None = None) -> None:
        """Write a beat; what cannot be written is left to the next one."""
        self.shown = counts, spent, notice = _shown()
        beat = Beat(
            self.rank,
            self.process,
            self.done,
            self.progress_at,
            step=pulse.step,
            saves=pulse.saves,
            to_save=pulse.to_save,
            ended=ended,
            counts=counts,
            spent=spent,
            notice=notice,
        )
        with contextlib.suppress(OSError):  # a disk that cannot be written; the next beat tries it
            write_beat(self.folder, beat)

    def _has_computed(self) -> bool:
        """Return True if something but this thread has computed since the last call."""
        before, now = self.computed, (time.monotonic(), _seconds_computed())
        self.computed = now
        return now[1] - before[1] > COMPUTED * (now[0] - before[0])

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self.process.pid:  # of a fork that is not watched
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        elif pulse.leave and number == signal.SIGINT and self.driver.name is None:
            self.end("ended by a second signal; the last checkpoint counts", LEFT_EARLY)
        pulse.order(signal.Signals(number).name, time.monotonic() + self.bounds.grace)

    def _write_stacks(self) -> None:
        self.with_stacks = True
        path = self.folder / RANKS / f"{self.rank}.stack"
        with contextlib.suppress(OSError), path.open("w") as file:
            faulthandler.dump_traceback(file, all_threads=True)

    def _fail(self, text: str) -> None:
        self._write_stacks()
        write_error(self.folder, self.rank, text)
        self.end(f"error: {text}", FAILED)

    def end(self, text: str, status: int) -> None:
        """End this process and all that it has started, at once."""
        with contextlib.suppress(OSError):
            os.write(sys.stderr.fileno(), f"{text}\n".encode())
        self._beat(status)
        end_children()
        os._exit(status)


def _shown() -> tuple[Mapping[str, tuple[int, int | None]], Mapping[str, float], str | None]:
    return pulse.counts, pulse.spent, pulse.notice


def _seconds_computed() -> float:
    """Return the processor time of this process, without this thread, and of its descendants."""
    total = time.process_time() - time.thread_time()
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            total += sum(child.cpu_times()[:2])
    return total
