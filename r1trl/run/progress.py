"""The progress of a stage on the terminal: the newest line of its log, in one place."""

import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from r1trl.process.terminal import newest_lines

PERIOD = 1.0  # seconds


@contextmanager
def log_shown(log: Path) -> Iterator[None]:
    """Show a growing log's newest line until the block ends, if the output is a terminal."""
    if not sys.stdout.isatty():
        yield
        return
    ended = threading.Event()
    thread = threading.Thread(target=_show, args=(log, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _show(log: Path, ended: threading.Event) -> None:
    while not ended.wait(PERIOD):
        width = shutil.get_terminal_size().columns - 3
        print(f"\r\x1b[K  {newest_line(log)[:width]}", end="", flush=True)
    print("\r\x1b[K", end="", flush=True)


def newest_line(log: Path) -> str:
    """Return the last line of a log that is not blank; of a progress bar its last state."""
    return "".join(newest_lines(log, 1)).strip()
