"""Ranks of tests: processes without torch that are watched as a stage's are."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from r1trl.watch.beats import read_beats
from r1trl.watch.control import DRIVER, own_name
from r1trl.watch.processes import end_trees

BEAT_PERIOD = 0.4  # seconds, in place of 5
WORKS = "progress()"
RANK = """
import sys
import time
from pathlib import Path

from r1trl.process.pulse import progress, pulse
from r1trl.watch import rank

rank.PERIOD, rank.TICK = {period}, 0.1
with rank.RankWatch(Path(sys.argv[1])) as watch:
    {begin}
    while not (pulse.leave and pulse.saves):
        {body}
        time.sleep(0.02)
    print("left on", pulse.leave, flush=True)
    watch.status = 3
"""


def wait_for(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait until a condition holds; fail if it does not in time."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "waited in vain"
        time.sleep(0.02)


def at_work_in(folder: Path) -> list[int]:
    """Return the processes whose working directory is a folder."""
    pids = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(process / "cwd") == str(folder):
                pids.append(int(process.name))
        except OSError:
            continue
    return pids


def start_rank(
    folder: Path, rank: int = 0, count: int = 1, *, begin: str = "", body: str = WORKS, driver: str
) -> "subprocess.Popen[str]":
    """Start a rank that runs `begin`, and then `body` until it is to leave; it has a log.

    `driver` is the name of its driver, empty: it is started by hand.
    """
    script = RANK.format(period=BEAT_PERIOD, begin=begin or "pass", body=body)
    environment = {k: v for k, v in os.environ.items() if k != DRIVER}
    environment |= {"RANK": str(rank), "WORLD_SIZE": str(count)}
    environment |= {DRIVER: driver} if driver else {}
    with (folder / f"log.{rank}.txt").open("w") as log:
        return subprocess.Popen(
            [sys.executable, "-c", script, str(folder)],
            env={**environment, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
        )


@contextmanager
def ranks(
    folder: Path, *bodies: str, begin: str = "", driver: str | None = None
) -> Iterator[list["subprocess.Popen[str]"]]:
    """Start a rank with each of the bodies, and yield them once all beat; end them at last."""
    name = own_name() if driver is None else driver
    started = [
        start_rank(folder, i, len(bodies), begin=begin, body=body, driver=name)
        for i, body in enumerate(bodies)
    ]
    try:
        wait_for(lambda: len(read_beats(folder)) == len(bodies))
        yield started
    finally:
        end_trees([each.pid for each in started])
        for each in started:
            each.wait()
