"""The order to leave: signals to the command, its time limit, and who looks at it."""

import re
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

from r1trl.process.terminal import say

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
ENDING = (signal.SIGTERM, signal.SIGINT)  # a second one of these ends everything
SAME_SECONDS = 0.1  # timeout(1) signals its child and then the child's group
TICK = 0.2  # seconds between two looks of a watch
UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "min": 60.0, "s": 1.0}
PART = r"(\d+(?:\.\d+)?)\s*(min|d|h|m|s)\s*"
FORMS = "give seconds, HH:MM:SS, D-HH:MM:SS, or units as in 3h50m"


def heeded() -> tuple[signal.Signals, ...]:
    """Return the signals that mean to leave; under nohup a hang-up means nothing."""
    ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    return tuple(each for each in SIGNALS if not (ignored and each == signal.SIGHUP))


class Leaving:
    """Whether a command is to leave, why and since when; as a context manager it takes signals.

    `at_once` is set by a second SIGINT or SIGTERM. `has_watcher` is True while a thread looks at
    it; else a second signal raises KeyboardInterrupt.
    """

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.reason: str | None = None
        self.since = 0.0
        self.at_once = self.has_watcher = False
        self.leave_at: float | None = None
        self._first: float | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._receive) for number in heeded()}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def limit(self, seconds: float | None, grace: float) -> None:
        """Set the time limit, counted from the beginning of the command: it has left by then."""
        self.leave_at = None if seconds is None else self.started + max(0.0, seconds - grace)

    def asked(self) -> str | None:
        """Return why to leave, or None."""
        if self.reason is None and self.leave_at is not None and time.monotonic() >= self.leave_at:
            self._order("time_limit")
        return self.reason

    def _order(self, reason: str) -> None:
        self.reason, self.since = reason, time.monotonic()

    def _receive(self, number: int, _: FrameType | None) -> None:
        now = time.monotonic()
        if self.reason is None:
            self._order(signal.Signals(number).name)
        if number not in ENDING:
            return
        if self._first is None:
            self._first = now
        elif now - self._first > SAME_SECONDS:
            self.at_once = True
            if not self.has_watcher:
                raise KeyboardInterrupt


class Watch:
    """Looks at the order to leave while processes work that lose nothing by being ended.

    `end` ends them; `ended` says why it was called, or None.
    """

    def __init__(self, leaving: Leaving, end: Callable[[], None]) -> None:
        self.leaving, self.end = leaving, end
        self.ended: str | None = None
        self._over = threading.Event()

    def __enter__(self) -> Self:
        self.leaving.has_watcher = True
        self._thread = threading.Thread(target=self._run, name="r1trl-watch", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.leaving.has_watcher = False

    def _run(self) -> None:
        while self.ended is None and not self._over.wait(TICK):
            self.tick()

    def tick(self) -> None:
        """Look once."""
        if reason := self.leaving.asked():
            say(f"leaving ({reason})")
            self._end(reason)

    def _end(self, why: str) -> None:
        self.ended = why
        self.end()


def seconds_of(limit: float | str | None) -> float | None:
    """Return a time limit in seconds; raise ValueError with a sentence if it is none."""
    if limit is None or isinstance(limit, int | float):
        seconds = limit
    else:
        seconds = _parsed(limit.strip().lower())
    if seconds is not None and not 0 < seconds < float("inf"):
        text = limit if isinstance(limit, str) else f"{limit:g}"
        raise ValueError(f"'{text}' is not possible; {FORMS}")
    return seconds


def _parsed(text: str) -> float:
    """Return the seconds of a text: as Slurm writes them, or with units; 0 of any other."""
    if match := re.fullmatch(r"(?:(\d+)-)?(\d+(?::\d+){0,2})", text):
        days, numbers = int(match[1] or 0), [int(part) for part in match[2].split(":")]
        if match[1]:  # days-hours, days-hours:minutes
            numbers += [0] * (3 - len(numbers))
        return float(days * 86400 + sum(n * 60**i for i, n in enumerate(reversed(numbers))))
    if re.fullmatch(f"(?:{PART})+", text):
        return sum(float(match[1]) * UNITS[match[2]] for match in re.finditer(PART, text))
    return 0.0
