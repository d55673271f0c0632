"""What r1trl prints, in the driver and in workers' logs: no secrets, and nothing that acts."""

import sys
import threading
from pathlib import Path

from r1trl.process.environment import hide
from r1trl.process.pulse import pulse
from r1trl.process.texts import printable

WIDTH = 2000  # characters of a line of a log that is shown
TAIL = 1 << 18  # bytes of a log that are read for its last lines
# Held while a text is printed, or the picture below it drawn or taken away: rich erases what
# another thread prints meanwhile.
printing = threading.RLock()


def say(text: object, *, error: bool = False, end: str = "\n") -> None:
    """Print a text at once, or to stderr an `error`; it may hold what a model has written.

    Characters that the stream's encoding lacks are written out.
    """
    with printing:
        stream = sys.stderr if error else sys.stdout
        encoding = getattr(stream, "encoding", None) or "utf-8"
        shown = printable(hide(str(text))).encode(encoding, "backslashreplace").decode(encoding)
        print(shown, end=end, file=stream, flush=True)


def announce(text: str) -> None:
    """Print a text in a worker's log, and have its driver show it while the stage runs."""
    say(text)
    pulse.notice = text


def newest_lines(log: Path, count: int) -> list[str]:
    """Return the last lines of a log that are not blank, for a terminal; none without a file.

    Of a progress bar each state is a line.
    """
    if not log.exists():
        return []
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - TAIL))
        text = stream.read().decode("utf-8", "replace")
    lines = [line.rstrip() for line in text.replace("\r", "\n").split("\n") if line.strip()]
    return [printable(short(hide(line))) for line in lines[-count:]]


def short(line: str, width: int = WIDTH) -> str:
    """Return a line, without its middle if it is longer than any sentence."""
    return line if len(line) <= width else f"{line[: width // 2]} … {line[-width // 2 :]}"
