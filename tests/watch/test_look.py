"""64 ranks on 8 hosts, by their beats alone: which is silent, whether all hang."""

import dataclasses
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from r1trl.process.pulse import Pulse, agreed
from r1trl.watch.beats import Beat, read_beats, write_beat
from r1trl.watch.control import Bounds
from r1trl.watch.look import Look
from r1trl.watch.processes import ProcessName

RANKS = range(64)
BEATS = [Beat(k, ProcessName(f"node{k // 8}", "boot", k, "0"), 0, 0.0) for k in RANKS]


class Hosts:
    """The beats of all ranks in a folder, and the clock of the driver that looks at them."""

    def __init__(self, folder: Path) -> None:
        (folder / "ranks").mkdir()
        self.folder, self.now, self.beats = folder, 0.0, list(BEATS)
        self.look = Look(folder, Bounds(60, 600, 30), clock=lambda: self.now)

    def pass_by(
        self,
        seconds: int,
        works: Callable[[int], bool],
        beating: Iterable[int] = RANKS,
        period: int = 25,
    ) -> str | None:
        """Let seconds go by in which ranks beat, and some work; return the first trouble."""
        for _ in range(0, seconds, period):
            self.now += period
            for rank in beating:
                done = self.beats[rank].done + works(rank)
                self.beats[rank] = dataclasses.replace(self.beats[rank], done=done)
                write_beat(self.folder, self.beats[rank])
            if trouble := self.look.trouble():
                return f"{trouble} at {self.now:.0f} s"
        return None


@pytest.fixture
def hosts(tmp_path: Path) -> Hosts:
    """Return 64 ranks that have begun."""
    made = Hosts(tmp_path)
    assert made.pass_by(25, lambda _: True) is None
    assert len(read_beats(tmp_path)) == 64
    return made


def test_a_host_that_is_cut_off_is_named_within_the_watchdogs_seconds(hosts: Hosts) -> None:
    others = [rank for rank in RANKS if rank // 8 != 5]
    trouble = hosts.pass_by(100, lambda _: True, others, 5)
    assert trouble is not None and trouble.startswith("rank 40 (node5, pid 40) is dead, or stopped")
    assert "for 35 s (watchdog.seconds=30) at 60 s" in trouble


def test_63_ranks_that_wait_for_one_that_filters_rows_do_not_hang(hosts: Hosts) -> None:
    assert hosts.pass_by(700, lambda rank: rank == 0) is None


def test_64_ranks_without_progress_hang(hosts: Hosts) -> None:
    trouble = hosts.pass_by(700, lambda _: False)
    assert trouble is not None and "hangs outside its steps, and with it the stage" in trouble
    assert trouble.endswith("at 650 s")


def test_64_ranks_agree_to_leave_once_one_is_to_by_the_earliest_time() -> None:
    pulses = [Pulse() for _ in RANKS]
    votes = [pulse.vote(float(k)) for k, pulse in enumerate(pulses)]
    assert agreed(votes)[0] is False
    for rank, seconds in ((17, 50.0), (63, 20.0)):
        pulses[rank].order("SIGTERM", time.monotonic() + seconds)
    leave, left, need = agreed([pulse.vote(float(k)) for k, pulse in enumerate(pulses)])
    assert leave and 19 < left <= 20 and need == 63
