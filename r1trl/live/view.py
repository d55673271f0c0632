"""What a run shows while it works, in a thread of its driver; a run never fails by it."""

import os
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from r1trl.live.line import BEGINS, line
from r1trl.live.run import RunFollower
from r1trl.process.terminal import say

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from r1trl.live.screen import Screen

PERIOD = 1.0  # seconds between two pictures
PLAIN_TERMINALS = ("", "dumb", "unknown")


def has_picture() -> bool:
    """Return True if stdout is a terminal that a picture can be drawn on, in UTF-8."""
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    return sys.stdout.isatty() and encoding == "utf8" and _term() not in PLAIN_TERMINALS


def _term() -> str:
    return os.environ.get("TERM", "")


class View:
    """Shows a run while the block runs: a picture, or a line every so many seconds.

    `place` is the run's in a sweep, `to_do` what the command is to do of it; None: all. What cannot
    be shown is said once: lines then take the place of the picture, and nothing that of lines.
    """

    def __init__(
        self,
        folder: Path,
        seconds: float,
        place: str = "",
        to_do: Collection[str] | None = None,
    ) -> None:
        self.folder, self.seconds, self.place, self.to_do = folder, seconds, place, to_do
        self.screen: Screen | None = None
        self._lines, self._begun = True, ""
        self._follower: RunFollower | None = None
        self._lock = threading.Lock()  # of what follows the run
        self._over, self._wake = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="r1trl-live", daemon=True)

    def __enter__(self) -> Self:
        self._try(self._begin)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._wake.set()
        self._thread.join()
        if self.screen:
            self._try(lambda: self._stop(self._drawn))

    @contextmanager
    def watching(self, name: str, folder: Path) -> Iterator[None]:
        """Show a piece of work, a stage or the preflight, while the block runs."""
        self._try(lambda: self._followed(lambda run: run.begin(name, folder)))
        self._wake.set()
        try:
            yield
        finally:
            self._try(lambda: self._followed(lambda run: run.end()))

    def _begin(self) -> None:
        self._follower = RunFollower(self.folder, self.place, self.to_do)
        if has_picture():
            from r1trl.live.screen import Screen

            self.screen = Screen().__enter__()

    def _run(self) -> None:
        while not self._over.is_set():
            if self.screen:
                self._try(partial(self.screen.show, self._drawn))
            self._wake.wait(PERIOD if self.screen else self.seconds)
            if self.screen or self._wake.is_set():
                self._wake.clear()
            elif self._lines:
                self._try(self._say_line)

    def _drawn(self, console: "Console", width: int, height: int) -> "list[Text]":
        from r1trl.live.picture import picture

        with self._lock:
            assert self._follower
            now = self._follower.look()
        return picture(now, console, width, height)

    def _say_line(self) -> None:
        with self._lock:
            if self._follower is None or not (now := self._follower.look()).works:
                return
        text = line(now)
        if text != self._begun:  # that a stage begins is said once
            say(text)
        self._begun = text if text.endswith(BEGINS) else ""

    def _followed(self, do: Callable[[RunFollower], None]) -> None:
        with self._lock:
            if self._follower:
                do(self._follower)

    def _stop(self, draw: "Callable[..., list[Text]] | None" = None) -> None:
        screen, self.screen = self.screen, None
        if screen:
            screen.stop(draw)

    def _try(self, show: Callable[[], None]) -> None:
        try:
            show()
        except Exception as error:  # noqa: BLE001 - the run goes on, and what was the matter is said
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        """Say what was the matter, and show less from now on."""
        what, then = "the lines on its progress", "there are none any more"
        if self.screen:
            what, then = "the picture of the run", "lines follow"
            try:
                self._stop()
            except Exception as again:  # noqa: BLE001 - likewise
                then = f"{then} ({type(again).__name__}: {again})"
        elif not self._lines:
            return
        else:
            self._lines = False
        say(f"{what} cannot be shown ({type(error).__name__}: {error}): {then}", error=True)
