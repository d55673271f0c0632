"""Who may work in a run: one driver, and ranks of that driver alone, or those started by hand.

Every rank holds a lock on `.workers` while it lives, together with its like. A driver writes its
name there and starts ranks only when nobody holds it; a rank of another driver does not begin.
"""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from r1trl.errors import ConfigError, R1trlError
from r1trl.watch.beats import at_work, read_beats
from r1trl.watch.processes import ProcessName

DRIVERS, WORKERS = ".lock", ".workers"
PATIENCE = 10.0  # seconds in which workers of an earlier command may still end
PAUSE = 0.2


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the driver's lock of a run's folder; raise ConfigError if another driver has it."""
    lock = _drivers_lock(folder)
    try:
        yield
    finally:
        lock.close()


def _drivers_lock(folder: Path) -> IO[str]:
    lock = (folder / DRIVERS).open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise ConfigError(
            [f"name: another r1trl is at work in {folder}; wait for it, or choose another name"]
        ) from None
    return lock


def run_of(folder: Path) -> Path:
    """Return the run's folder of a stage's; the stage's own if it lies in no run."""
    folder = folder.absolute()
    return folder.parent.parent if folder.parent.name == "stages" else folder


def hold_locks(folder: Path, driver: ProcessName | None, rank: int) -> list[IO[str]]:
    """Return the locks that a rank of the stage in a folder holds while it lives.

    `driver` names the driver that started it, None: nobody did, and rank 0 is in its place. Raises
    R1trlError if another is at work.
    """
    run = run_of(folder)
    own = [_drivers_lock(run)] if driver is None and rank == 0 else []
    lock = (run / WORKERS).open("a+")
    fcntl.flock(lock, fcntl.LOCK_SH)
    lock.seek(0)
    now = lock.read().strip()
    if driver is not None and now not in ("", driver.text):
        lock.close()
        raise R1trlError(f"{folder}: this worker has not begun: another r1trl is at work there")
    return [*own, lock]


def take_over(folder: Path, driver: str) -> None:
    """Make the run of a stage's folder a driver's, before it starts workers.

    Raises ConfigError if workers of another are at work there; they get some seconds to end.
    """
    run, ends = run_of(folder), time.monotonic() + PATIENCE
    (run / WORKERS).write_text(driver, encoding="utf-8")
    with (run / WORKERS).open("a") as lock:
        while not _is_free(lock):
            if time.monotonic() > ends:
                raise ConfigError([_refusal(run)])
            time.sleep(PAUSE)


def _is_free(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _refusal(run: Path) -> str:
    """Return the sentence that names the workers that are at work in a run."""
    stages = [run, *sorted((run / "stages").glob("*"))]
    found = [f"{stage.name}: {beat}" for stage in stages for beat in at_work(read_beats(stage))]
    who = f": {'; '.join(found)}" if found else ""
    at = f"workers of an earlier r1trl are still at work in {run}{who}"
    return f"name: {at}; wait for them, or end them"
