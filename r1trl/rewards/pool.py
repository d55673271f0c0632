"""The pool of scoring processes: persistent, killed at the deadline, replaced when they die.

Model output is hostile: an answer can make a verifier compute for hours, and one that holds the
GIL cannot be interrupted from inside. So every sample is scored in another process, and one that
has not answered in time is killed; so is one whose parent has gone. A sample that takes long is
set aside: its process goes on, and another takes its place, so that several hanging answers take
no longer than one.
"""

import atexit
import functools
import os
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from r1trl.rewards.fork_server import ForkServer, Process

ASIDE = 16  # processes beyond the pool's size that may go on with samples that take long
PATIENCE = 0.05  # seconds after which a sample is set aside


@dataclass(frozen=True)
class Failure:
    """A sample without a verdict: `kind` is 'timeout' or 'error'."""

    kind: str
    message: str


@dataclass(frozen=True)
class Job:
    """One sample to score: the verifier's reference, its arguments, its options."""

    verifier: Any
    arguments: tuple[Any, ...]
    options: dict[str, Any]


@dataclass(frozen=True)
class Verdict:
    """What became of a job, and the seconds that it took."""

    value: float | Failure | None
    seconds: float


class Pool:
    """`size` scoring processes, started when first needed; `deadline` is in seconds per sample.

    May be asked from several threads at once; a sample waits until a process is free.
    """

    def __init__(self, size: int, deadline: float) -> None:
        self.size, self.deadline = size, deadline
        self._threads = ThreadPoolExecutor(size + ASIDE, "r1trl-scoring")
        self._places, self._aside = threading.Semaphore(size), threading.Semaphore(ASIDE)
        self._nursery = ForkServer()
        self._processes: set[Process] = set()
        self._begun: dict[str, Future[Verdict]] = {}
        self._idle: list[Process] = []  # the one used last is used next: it is warm
        self._closed = False

    def warm(self, verifiers: Sequence[Any]) -> None:
        """Start every process and prepare it for these verifiers, in the background."""
        for _ in range(self.size):
            self._threads.submit(self._warm, verifiers)

    def begin(self, jobs: Sequence[Job]) -> None:
        """Begin to score jobs that `score` will soon be asked about."""
        for job in jobs:
            if repr(job) not in self._begun:
                self._begun[repr(job)] = self._threads.submit(self._score, job)

    def score(self, jobs: Sequence[Job]) -> list[Verdict]:
        """Score jobs; the verdicts come in their order."""
        begun = [self._begun.pop(repr(job), None) for job in jobs]
        pairs = zip(jobs, begun, strict=True)
        asked = [future or self._threads.submit(self._score, job) for job, future in pairs]
        return [future.result() for future in asked]

    def _warm(self, verifiers: Sequence[Any]) -> None:
        with suppress(TimeoutError, EOFError):  # the first sample will say what is wrong
            self._idle.append(self._start(verifiers))

    def _score(self, job: Job) -> Verdict:
        for _ in range(2):  # a process may have been killed for what is no fault of the sample
            verdict = self._attempt(job)
            if verdict:
                return verdict
        return Verdict(Failure("error", "the scoring process died twice on this sample"), 0.0)

    def _attempt(self, job: Job) -> Verdict | None:
        """Score a job in a process of its own for so long; return None where it dies."""
        self._places.acquire()
        place, process = self._places, None
        try:
            process = self._take([job.verifier])
            process.prepare(job.verifier)
            start = time.monotonic()
            process.tell(("score", job, self.deadline))
            patience = min(PATIENCE, self.deadline / 4)
            try:
                kind, answer = process.answer(patience)
            except TimeoutError:
                place = self._set_aside()
                kind, answer = process.answer(self.deadline - patience)
            seconds = time.monotonic() - start
            self._idle.append(process)
            return Verdict(answer if kind == "value" else Failure("error", answer), seconds)
        except TimeoutError:
            self._drop(process)
            return Verdict(
                Failure("timeout", f"no verdict within {self.deadline:g} s"), self.deadline
            )
        except EOFError:
            self._drop(process)
            return None
        finally:
            place.release()

    def _set_aside(self) -> threading.Semaphore:
        """Give a place to another process, if there is room; return what is held now."""
        if not self._aside.acquire(blocking=False):
            return self._places
        self._places.release()
        return self._aside

    def _take(self, verifiers: Sequence[Any]) -> Process:
        """Return a process that nobody uses, or a new one."""
        while True:
            try:
                process = self._idle.pop()
            except IndexError:
                return self._start(verifiers)
            if not process.has_gone:
                return process
            self._drop(process)

    def _drop(self, process: Process | None) -> None:
        if process:
            process.end()
            self._processes.discard(process)

    def _start(self, verifiers: Sequence[Any]) -> Process:
        if self._closed:
            raise RuntimeError("the pool of scoring processes is closed")
        process = self._nursery.fork(verifiers)
        self._processes.add(process)
        return process

    def close(self) -> None:
        """End all processes."""
        self._closed = True
        for process in list(self._processes):
            process.kill()
        self._threads.shutdown(cancel_futures=True)
        for process in list(self._processes):
            process.end()
        self._processes.clear()
        self._nursery.close()


def cores() -> int:
    """Return how many cores this process's share of the machine has, at least one."""
    ranks = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    usable = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return max(1, usable // ranks)


@functools.cache
def shared_pool() -> Pool:
    """Return the pool of verifiers that are called on their own, outside a run."""
    pool = Pool(cores(), deadline=10.0)
    atexit.register(pool.close)
    return pool
