"""The order to leave: time limits, what stands, and signals to this process."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from r1trl.errors import ConfigError
from r1trl.plan.plan import make_plan
from r1trl.watch.beats import Beat, write_beat
from r1trl.watch.control import Bounds
from r1trl.watch.leaving import SAME_SECONDS, Leaving, seconds_of
from r1trl.watch.look import Look
from r1trl.watch.processes import ProcessName, this_process
from r1trl.watch.standing import standing


@pytest.mark.parametrize(
    ("limit", "seconds"),
    [
        (None, None),
        (90, 90),
        (1.5, 1.5),
        ("90", 90),
        ("3:50:00", 3 * 3600 + 50 * 60),
        ("03:50:00", 3 * 3600 + 50 * 60),
        ("50:30", 50 * 60 + 30),
        ("1-12", 36 * 3600),
        ("1-12:30", 36.5 * 3600),
        ("2-00:00:10", 2 * 86400 + 10),
        ("3h50m", 3 * 3600 + 50 * 60),
        ("1d 2h", 26 * 3600),
        ("90min", 5400),
        ("1.5H", 5400),
        ("45s", 45),
    ],
)
def test_a_time_limit_is_written_as_people_write_it(limit: Any, seconds: float | None) -> None:
    assert seconds_of(limit) == seconds


@pytest.mark.parametrize("limit", ["", "soon", "3 hours", "3h50", "-5", 0, -1, "1:2:3:4", "1-"])
def test_what_is_no_time_limit_is_refused(limit: Any) -> None:
    with pytest.raises(ValueError, match=f"^'{limit}' is not possible; give seconds, HH:MM:SS, "):
        seconds_of(limit)


def test_the_plan_refuses_what_is_no_time_limit(composed: Any) -> None:
    with pytest.raises(ConfigError, match="time_limit: '3 hours' is not possible; give seconds"):
        make_plan(composed("recipe=zero", "scale=tiny", "time_limit='3 hours'"))


def test_a_time_limit_leaves_time_to_leave_in() -> None:
    leaving = Leaving()
    leaving.limit(100.0, 60.0)
    leaving.started -= 1  # has no effect: the moment is set
    assert leaving.asked() is None
    leaving.leave_at = time.monotonic() - 1
    assert leaving.asked() == "time_limit"
    late = Leaving()
    late.limit(30.0, 60.0)
    assert late.asked() == "time_limit"


def test_signals_order_to_leave_and_a_second_one_ends_everything() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Leaving() as leaving:
        leaving.has_watcher = True
        os.kill(os.getpid(), signal.SIGHUP)
        assert leaving.asked() == "SIGHUP" and not leaving.at_once
        os.kill(os.getpid(), signal.SIGTERM)
        assert leaving.asked() == "SIGHUP" and not leaving.at_once, "the first that ends"
        os.kill(os.getpid(), signal.SIGTERM)
        assert not leaving.at_once, "as of timeout(1), which sends its signal twice"
        time.sleep(SAME_SECONDS)
        os.kill(os.getpid(), signal.SIGINT)
        assert leaving.at_once
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_signal_interrupts_what_nobody_watches() -> None:
    with Leaving() as leaving:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(SAME_SECONDS)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert leaving.asked() == "SIGINT"


def test_what_stands_is_the_newest_marked_checkpoint_or_the_shards(tmp_path: Path) -> None:
    now = time.time()
    assert standing(tmp_path, now - 30) == "it begins again, 30 s are lost"
    for name, age in (("a", 20), ("b", 12)):
        shard = tmp_path / "shards" / "digest" / f"{name}.parquet"
        shard.parent.mkdir(parents=True, exist_ok=True)
        shard.touch()
        os.utime(shard, (now - age, now - age))
    assert standing(tmp_path, now - 30) == "2 finished shards stand, 12 s are lost"
    assert standing(tmp_path, now - 5) == "2 finished shards stand, 5 s are lost"
    for name in ("checkpoint-8", "checkpoint-16", "checkpoint-24-copy"):
        mark = tmp_path / "checkpoints" / name / "complete.json"
        mark.parent.mkdir(parents=True)
        mark.touch()
    (tmp_path / "checkpoints" / "checkpoint-32").mkdir()
    assert standing(tmp_path, now - 30) == "checkpoint-16 stands, nothing is lost"


FAR = ProcessName("far", "space", 7, "1")


def beat(folder: Path, rank: int, number: int, **more: Any) -> None:
    """Write a beat, of a process on another host unless it is said, at a time of its file."""
    given = {"process": FAR, "done": 0, "progress": 0.0, **more}
    write_beat(folder, Beat(rank, **given))
    os.utime(folder / "ranks" / f"{rank}.json", ns=(number, number))


def test_silence_is_counted_by_this_clock_also_of_ranks_on_other_hosts(tmp_path: Path) -> None:
    (tmp_path / "ranks").mkdir()
    now = [100.0]
    look = Look(tmp_path, Bounds(watchdog=30, timeout=600), clock=lambda: now[0])
    for seconds in range(0, 100, 10):
        now[0] = 100.0 + seconds
        beat(tmp_path, 0, 10**9 * (seconds + 1))
        beat(tmp_path, 1, 10**9 * min(seconds + 1, 41))
        trouble = look.trouble()
        assert (trouble is not None) == (seconds > 70), seconds
    assert str(trouble).startswith("rank 1 (far, pid 7) is dead, or stopped: it gave no sign of")


def test_what_an_earlier_attempt_has_left_is_no_rank(tmp_path: Path) -> None:
    (tmp_path / "ranks").mkdir()
    now = [0.0]
    look = Look(tmp_path, Bounds(watchdog=1, timeout=5), fresh=False, clock=lambda: now[0])
    gone = ProcessName(this_process().host, this_process().space, this_process().pid, "1")
    beat(tmp_path, 0, 1, process=gone)
    beat(tmp_path, 1, 1)
    assert look.trouble() is None
    now[0] = 99.0
    assert look.trouble() is None


def test_under_nohup_a_hang_up_means_nothing() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Leaving() as leaving:
            os.kill(os.getpid(), signal.SIGHUP)
            assert leaving.asked() is None
            os.kill(os.getpid(), signal.SIGUSR1)
            assert leaving.asked() == "SIGUSR1"
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
