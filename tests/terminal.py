"""A terminal of tests: a command on a real pty, and the screen that a user would see."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import pyte

ESCAPE = "\x1b"


class Terminal:
    """Runs a command on a pty of a size; `output` is all that it has written."""

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        columns: int = 100,
        lines: int = 40,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.screen = pyte.Screen(columns, lines)
        self.stream, self.output = pyte.ByteStream(self.screen), b""
        self.end, other = pty.openpty()
        self._set_size(columns, lines)
        given = {**os.environ, "TERM": "xterm-256color", "PYTHONUTF8": "1", **(environment or {})}
        self.process = subprocess.Popen(
            command, cwd=folder, env=given, stdin=other, stdout=other, stderr=other
        )
        os.close(other)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.end)

    @property
    def text(self) -> str:
        """Return what is on the screen now."""
        self._read(0.0)
        return "\n".join(line.rstrip() for line in self.screen.display)

    def wait_for(self, *texts: str, seconds: float = 60.0) -> str:
        """Return the screen once it has all of some texts; fail if it never has."""
        ends = time.monotonic() + seconds
        while not all(text in self.text for text in texts):
            assert time.monotonic() < ends, f"{texts} not in\n{self.text}"
            self._read(0.1)
        return self.text

    def resize(self, columns: int, lines: int) -> None:
        """Give the terminal another size."""
        self._read(0.0)
        self.screen.resize(lines, columns)
        self._set_size(columns, lines)

    def status(self, seconds: float = 60.0) -> int:
        """Return the exit status once the command has ended."""
        ends = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < ends, f"still at work:\n{self.text}"
            self._read(0.1)
        self._read(0.0)
        return self.process.returncode

    def _set_size(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.end, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def _read(self, seconds: float) -> None:
        """Show what comes, once something does or these seconds are over."""
        while select.select([self.end], [], [], seconds)[0]:
            try:
                new = os.read(self.end, 1 << 16)
            except OSError:  # nobody writes to it any more
                return
            self.output += new
            self.stream.feed(new)
            seconds = 0.0
