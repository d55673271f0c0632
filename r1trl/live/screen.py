"""The picture at the bottom of a terminal, drawn again in its place; what is printed goes above."""

import os
import sys
from collections.abc import Callable
from typing import Self

from rich.console import Console, ConsoleDimensions
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType
from rich.text import Text

from r1trl.process.terminal import printing

Draw = Callable[[Console, int, int], list[Text]]
SMALLEST = (10, 4)  # cells and rows; a terminal that has fewer, or none, is drawn on as if it had


class Screen:
    """A picture on the terminal that stdout is, from `start` to `stop`; the last one stays there.

    rich's `Live` draws it. When the terminal has become narrower, which breaks the rows that are on
    it, they are taken away first.
    """

    def __init__(self) -> None:
        self.console = Console(file=sys.stdout, force_terminal=True, highlight=False)
        self.console.size = self._size()
        self.live = Live(
            console=self.console,
            auto_refresh=False,
            redirect_stdout=True,
            redirect_stderr=sys.stderr.isatty(),
        )
        self.rows: list[Text] = []

    def __enter__(self) -> Self:
        self.live.start()
        return self

    def show(self, draw: Draw) -> None:
        """Draw the picture if it is another one now, or the terminal has another size."""
        size = self._size()
        resized = size != self.console.size
        rows = draw(self.console, size.width - 1, size.height - 1)[: size.height - 1]
        with printing:
            if resized:
                self._take_away(size.width)
                self.console.size = size
            elif rows == self.rows:
                return
            self.rows = rows
            self.live.update(_text(rows), refresh=True)

    def stop(self, draw: Draw | None = None) -> None:
        """Draw the last picture whole, unless drawing has failed, and leave it there."""
        try:
            if draw is not None:
                self.show(draw)
                self.live.update(_text(draw(self.console, self.console.width - 1, 1 << 16)))
        finally:
            with printing:
                self.live.stop()

    def _take_away(self, width: int) -> None:
        """Erase the rows that the terminal has broken the picture's into."""
        broken = sum(max(0, -(-row.cell_len // width) - 1) for row in self.rows)
        up = ((ControlType.ERASE_IN_LINE, 2), (ControlType.CURSOR_UP, 1))
        self.console.control(Control(ControlType.CARRIAGE_RETURN, *(up * broken)))

    def _size(self) -> ConsoleDimensions:
        size = os.get_terminal_size(sys.stdout.fileno())
        if not size.columns or not size.lines:  # nobody has said how large it is
            return ConsoleDimensions(80, 24)
        return ConsoleDimensions(max(SMALLEST[0], size.columns), max(SMALLEST[1], size.lines))


def _text(rows: list[Text]) -> Text:
    return Text("\n", no_wrap=True, overflow="crop").join(rows)
