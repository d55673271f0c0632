"""The pool of scoring processes: persistent, killed at the deadline, replaced when they die.

Model output is hostile: an answer can make a verifier compute for hours, and code that holds the
GIL cannot be interrupted from inside. So every sample is scored in another process, which is killed
with all that it has started if it goes beyond a limit (limits.py) or if its parent dies. A slow
sample gives up its slot: its process goes on and another takes the slot, so that no answer waits
for one that hangs.
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

from r1trl.process.pulse import progress
from r1trl.rewards.fork_server import START_SECONDS, ForkServer, Process
from r1trl.rewards.limits import Limits

PATIENCE = 6  # times the deadline, if it is not given
BATCH_PATIENCE = 50  # times the deadline, for a reward that scores a batch at once
MAX_SLOW_SAMPLES = 16  # slow samples that may run beyond the pool's size
SLOW_AFTER_SECONDS = 0.05


@dataclass(frozen=True)
class Failure:
    """The result of a sample that could not be scored: `kind` is 'timeout' or 'error'."""

    kind: str
    message: str


@dataclass(frozen=True)
class Job:
    """One sample to score: the verifier's import path, its arguments, its options."""

    verifier: Any
    arguments: tuple[Any, ...]
    options: dict[str, Any]


@dataclass(frozen=True)
class JobResult:
    """The value of a job or its failure, and the seconds it took."""

    value: float | Failure | None
    seconds: float


class Pool:
    """`size` scoring processes, started when first needed.

    `deadline` is in seconds that a sample runs or sleeps, `patience` in seconds on the clock, 6
    times as many if it is None, and 50 times for a reward that scores a batch outside the pool.
    Thread-safe: a sample waits for a free slot.
    """

    def __init__(self, size: int, deadline: float, patience: float | None = None) -> None:
        self.size = size
        self._limits = Limits(deadline, patience or PATIENCE * deadline)
        self.batch_patience = patience or BATCH_PATIENCE * deadline
        self._threads = ThreadPoolExecutor(size + MAX_SLOW_SAMPLES, "r1trl-scoring")
        self._slots = threading.Semaphore(size)
        self._slow_slots = threading.Semaphore(MAX_SLOW_SAMPLES)
        self._fork_server = ForkServer()
        self._processes: set[Process] = set()
        self._submitted: dict[str, Future[JobResult]] = {}
        self._idle: list[Process] = []  # last in, first out: the last one used is warm
        self._closed = False

    def warm(self, verifiers: Sequence[Any]) -> None:
        """Start every process and load these verifiers into it, in the background."""
        for _ in range(self.size):
            self._threads.submit(self._warm, verifiers)

    def submit(self, jobs: Sequence[Job]) -> None:
        """Start scoring jobs in the background; a later `score` of equal jobs uses the results."""
        for job in jobs:
            if repr(job) not in self._submitted:
                self._submitted[repr(job)] = self._threads.submit(self._score, job)

    def score(self, jobs: Sequence[Job]) -> list[JobResult]:
        """Score jobs and return their results in the same order; blocks until all are done."""
        submitted = [self._submitted.pop(repr(job), None) for job in jobs]
        pairs = zip(jobs, submitted, strict=True)
        futures = [future or self._threads.submit(self._score, job) for job, future in pairs]
        return [future.result() for future in futures]

    def _warm(self, verifiers: Sequence[Any]) -> None:
        with suppress(TimeoutError, EOFError):  # the first sample reports the error
            self._idle.append(self._start(verifiers))

    def _score(self, job: Job) -> JobResult:
        for _ in range(2):  # the process may have been killed for another reason than the sample
            result = self._attempt(job)
            if result:
                return result
        return JobResult(Failure("error", "the scoring process died twice on this sample"), 0.0)

    def _attempt(self, job: Job) -> JobResult | None:
        """Score a job in a process of its own, within the limits; None if the process dies."""
        self._slots.acquire()
        slots, process = self._slots, None
        try:
            process = self._take([job.verifier])
            if error := process.load(job.verifier):
                self._idle.append(process)
                return JobResult(Failure("error", f"it could not be set up: {error}"), 0.0)
            start = time.monotonic()
            process.send(("score", job, self._limits.patience))
            try:
                kind, content = process.recv(min(SLOW_AFTER_SECONDS, self._limits.deadline / 4))
            except TimeoutError:
                slots = self._give_up_slot()
                kind, content = self._limits.wait(process, start)
            seconds = time.monotonic() - start
            progress()
            if kind in ("value", "error"):
                self._idle.append(process)
            else:
                self._discard(process)
            failed = Failure("timeout" if kind == "timeout" else "error", str(content))
            return JobResult(content if kind == "value" else failed, seconds)
        except TimeoutError:
            self._discard(process)
            return JobResult(Failure("timeout", f"not loaded within {START_SECONDS:g} s"), 0.0)
        except EOFError:
            self._discard(process)
            return None
        finally:
            slots.release()

    def _give_up_slot(self) -> threading.Semaphore:
        """Exchange a slot for a slow one, if one is free; return the semaphore now held."""
        if not self._slow_slots.acquire(blocking=False):
            return self._slots
        self._slots.release()
        return self._slow_slots

    def _take(self, verifiers: Sequence[Any]) -> Process:
        """Return an idle process, or a new one."""
        while True:
            try:
                process = self._idle.pop()
            except IndexError:
                return self._start(verifiers)
            if not process.has_sent:
                return process
            self._discard(process)

    def _discard(self, process: Process | None) -> None:
        if process:
            self._fork_server.end(process)
            self._processes.discard(process)

    def _start(self, verifiers: Sequence[Any]) -> Process:
        if self._closed:
            raise RuntimeError("the pool of scoring processes is closed")
        process = self._fork_server.fork(verifiers)
        self._processes.add(process)
        return process

    def close(self) -> None:
        """Kill all processes, running ones too; scoring raises RuntimeError from then on."""
        self._closed = True
        for process in list(self._processes):
            process.kill()
        self._threads.shutdown(cancel_futures=True)
        for process in list(self._processes):
            self._fork_server.end(process)
        self._processes.clear()
        self._fork_server.close()


def cores() -> int:
    """Return this rank's share of the machine's usable cores, at least 1.

    If the launcher does not say how many ranks the machine has, all are taken to be on it.
    """
    ranks = int(os.environ.get("LOCAL_WORLD_SIZE") or os.environ.get("WORLD_SIZE", "1"))
    usable = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return max(1, usable // ranks)


@functools.cache
def shared_pool() -> Pool:
    """Return the pool for verifiers that are called directly, outside a run; closed at exit."""
    pool = Pool(cores(), deadline=10.0)
    atexit.register(pool.close)
    return pool
