"""The pulse of a process: how it comes on, and whether it is to leave, for all of its threads.

Whatever gets something done says so with `progress`, from the lowest folder on: a step, a decoded
token, a scored sample, a server's reply. A thread of r1trl.watch writes it down and reads orders.
"""

import math
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Pulse:
    """What a process has done, and what it is to do.

    `done` grows with all that gets done. Inside a training step nothing else counts as progress;
    outside (`in_step` False) what the process computes does too, and while somebody else computes
    for it (`elsewhere` counts whom) that it lives is enough. `overdue` is what has not ended in
    time, and from when on, on time.monotonic, the process ends with it.

    With `saves` it leaves at the end of a step, `to_save` seconds before a checkpoint can be
    written as far as is known; without, it loses nothing by ending at once. `leave` is why it is to
    leave, until `leave_by` on time.monotonic.

    The rest is for whoever looks on. `counts` has how much is done, of how much if that is known:
    what contains the others first, as in models, then rows. `spent` are seconds by what they went
    to; `notice` is what a user should hear of while the stage runs. All three are replaced, never
    changed: another thread reads them.
    """

    done: int = 0
    step: int | None = None
    in_step: bool = False
    elsewhere: int = 0
    overdue: tuple[float, str] | None = None
    saves: bool = False
    to_save: float | None = None
    leave: str | None = None
    leave_by: float = math.inf
    counts: Mapping[str, tuple[int, int | None]] = field(default_factory=dict)
    spent: Mapping[str, float] = field(default_factory=dict)
    notice: str | None = None

    def order(self, reason: str, by: float) -> None:
        """Have the process leave; the first reason counts."""
        if self.leave is None:
            self.leave, self.leave_by = reason, by

    def vote(self, need: float) -> list[float]:
        """Return as numbers, for `agreed`, whether to leave, in how many seconds, and `need`.

        That is in how many seconds the next checkpoint can be written.
        """
        left = min(self.leave_by - time.monotonic(), NEVER) if self.leave else NEVER
        return [float(self.leave is not None), left, need]

    def begin(self) -> None:
        """Forget what an earlier stage of the process has left."""
        self.__init__()  # type: ignore[misc]


INTERRUPT = signal.SIGVTALRM  # nobody else's: rewards use SIGALRM themselves
NEVER = 1e9  # seconds; a float32 holds it
DEAF_SECONDS = 5.0  # until the process ends with what cannot be interrupted
pulse = Pulse()
_lock = threading.Lock()


def progress() -> None:
    """Say that something got done."""
    pulse.done += 1


def count(what: str, done: int, of: int | None = None) -> None:
    """Say how much of something is done."""
    with _lock:
        pulse.counts = {**pulse.counts, what: (done, of)}


def count_more(what: str, more: int) -> None:
    """Say that more of something is done, whose end is not known."""
    with _lock:
        pulse.counts = {**pulse.counts, what: (pulse.counts.get(what, (0, None))[0] + more, None)}


def count_no_more(what: str) -> None:
    """Say that something is no longer counted."""
    with _lock:
        pulse.counts = {name: counted for name, counted in pulse.counts.items() if name != what}


def spend(what: str, seconds: float) -> None:
    """Say that seconds went to something."""
    with _lock:
        pulse.spent = {**pulse.spent, what: pulse.spent.get(what, 0.0) + seconds}


def agreed(votes: Sequence[Sequence[float]]) -> tuple[bool, float, float]:
    """Return whether one of the processes is to leave, in how many seconds, and the most needed."""
    leave, left, need = zip(*votes, strict=True)
    return any(leave), min(left), max(need)


@contextmanager
def computed_elsewhere() -> Iterator[None]:
    """Say that what computes in the block does not say how it comes on: vLLM, or a reward."""
    with _lock:
        pulse.elsewhere += 1
    try:
        yield
    finally:
        with _lock:
            pulse.elsewhere -= 1


class Overdue(BaseException):
    """What was bounded took too long; no Exception, which a reward would take for its own."""


@contextmanager
def bounded(seconds: float, late: str) -> Iterator[None]:
    """Raise Overdue with a sentence in the block after so many seconds, in the main thread.

    With a block that goes on all the same, or in another thread, the process ends a little later.
    """
    main, is_main = threading.main_thread(), threading.current_thread() is threading.main_thread()

    def interrupt() -> None:
        pulse.overdue = (time.monotonic() + DEAF_SECONDS, late)
        if is_main and main.ident:
            signal.pthread_kill(main.ident, INTERRUPT)

    def raise_(*_: object) -> None:
        raise Overdue(late)

    before = signal.signal(INTERRUPT, raise_) if is_main else None
    timer = threading.Timer(seconds, interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        if is_main:
            signal.signal(INTERRUPT, before)
        pulse.overdue = None
