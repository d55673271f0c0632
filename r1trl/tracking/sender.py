"""One tracker in a thread of its own, which calls it, and which nobody waits for."""

import queue
import threading
import time
from typing import Any

from r1trl.errors import raised
from r1trl.process.pulse import computed_elsewhere, pulse
from r1trl.process.terminal import say
from r1trl.trackers import Tracker

LONGEST = 1000  # calls that wait; of a tracker that is so far behind, nothing is expected any more
PATIENCE = 60.0  # seconds that the end of a stage waits for a tracker that says nothing else
TO_LEAVE = 2.0  # seconds that a process which is to leave needs besides


class Sender:
    """Calls a tracker's methods in the order in which they are sent; `key` is the tracker's.

    A tracker that raises, hangs or falls behind is lost: that is said once, and what is sent to it
    from then on is left out.
    """

    def __init__(self, key: str, tracker: Tracker) -> None:
        self.key, self.tracker, self.lost = key, tracker, False
        self._lock, self._now = threading.Lock(), ("start", time.monotonic())
        self._calls: queue.Queue[tuple[str, Any]] = queue.Queue(LONGEST)
        self._thread = threading.Thread(target=self._run, name=f"r1trl-{key}", daemon=True)
        self._thread.start()

    def send(self, method: str, *arguments: Any) -> None:
        """Let the tracker's method be called; returns at once."""
        if self.lost:
            return
        try:
            self._calls.put_nowait((method, arguments))
        except queue.Full:
            self._lose(f"{self._busy()}, and {LONGEST} calls wait for it")

    def drain(self) -> None:
        """Wait until `finish` has been called, as long as the tracker's patience, or the process's.

        A process that is to leave does so in time.
        """
        if self.lost:
            return
        seconds = float(getattr(self.tracker, "patience", PATIENCE))
        if pulse.leave:
            seconds = min(seconds, max(0.0, pulse.leave_by - time.monotonic() - TO_LEAVE))
        with computed_elsewhere():
            self._thread.join(seconds)
        if self._thread.is_alive():
            self._lose(f"{self._busy()}, {seconds:.0f} s after the stage's end")

    def _run(self) -> None:
        try:
            while not self.lost:
                method, arguments = self._calls.get()
                self._now = method, time.monotonic()
                said = getattr(self.tracker, method)(*arguments)
                if said and method == "start":
                    say(f"{self.key}: {said}")
                if method == "finish":
                    return
        except BaseException as error:  # noqa: BLE001 - whatever it is, the stage goes on, and it is said
            self._lose(f"{self._now[0]} raised {raised(error)}")

    def _busy(self) -> str:
        method, since = self._now
        return f"{method} has not returned for {time.monotonic() - since:.0f} s"

    def _lose(self, why: str) -> None:
        """Say that the tracker is lost, unless that has been said."""
        with self._lock:
            lost, self.lost = self.lost, True
        if not lost:
            say(f"{self.key}: is lost ({why}); the stage goes on, its files have all", error=True)
