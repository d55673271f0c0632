"""Driver and ranks watch each other: real processes, without torch."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ranks import BEAT_PERIOD, WORKS, ranks, start_rank, wait_for

from r1trl.errors import ConfigError
from r1trl.watch.beats import errors, first_beat, read_beats, stacks
from r1trl.watch.control import Bounds, Control, own_name, write_control
from r1trl.watch.leaving import Leaving
from r1trl.watch.lock import locked, take_over
from r1trl.watch.processes import end_trees, name_of, this_process
from r1trl.watch.stage import StageWatch

SAVES = "pulse.saves, pulse.step, pulse.to_save = True, 3, 0.0"
BOUNDS = "from r1trl.watch.control import Bounds; watch.look.bounds = Bounds(9, 9, 2)"
HANGS = "time.sleep(60)"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a stage of a run."""
    made = tmp_path / "run" / "stages" / "s"
    made.mkdir(parents=True)
    return made


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the driver write its control file as often as the ranks beat."""
    monkeypatch.setattr("r1trl.watch.stage.PERIOD", BEAT_PERIOD)


class Driven:
    """A stage that this process drives, with bounds; `pids` are those that it ends."""

    def __init__(
        self, folder: Path, grace: float = 60, timeout: float = 60, watchdog: float = 60
    ) -> None:
        self.leaving, self.pids = Leaving(), list[int]()
        bounds = Bounds(grace, timeout, watchdog)
        self.watch = StageWatch(folder, bounds, self.leaving, lambda: end_trees(self.pids))


def test_an_order_to_leave_reaches_every_rank_which_saves_first(folder: Path, capsys) -> None:
    driven = Driven(folder)
    with driven.watch, ranks(folder, WORKS, WORKS, begin=SAVES) as started:
        wait_for(lambda: all(beat.saves for beat in read_beats(folder)))
        driven.leaving._order("SIGUSR1")
        assert [each.wait(10) for each in started] == [0, 0]
        assert [beat.ended for beat in read_beats(folder)] == [3, 3]
    assert "left on SIGUSR1" in (folder / "log.1.txt").read_text()
    assert driven.watch.ended is None and driven.watch.error(0) is None
    said = "leaving (SIGUSR1): saving after this step; a second Ctrl-C ends everything at once\n"
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (12.0, "finishing this rollout, about 12 s"),
        (99.0, "about 99 s, longer than launch.grace=60: the last checkpoint counts"),
    ],
)
def test_the_rest_of_the_rollout_is_told_at_once(
    seconds: float, said: str, folder: Path, capsys
) -> None:
    driven = Driven(folder)
    begin = f"{SAVES}; pulse.to_save = {seconds}"
    with driven.watch, ranks(folder, WORKS, begin=begin) as started:
        wait_for(lambda: all(beat.saves for beat in read_beats(folder)))
        driven.leaving._order("SIGTERM")
        started[0].wait(10)
    assert said in capsys.readouterr().out


def test_ranks_that_have_nothing_to_save_end_at_once(folder: Path, capsys) -> None:
    driven = Driven(folder)
    with driven.watch, ranks(folder, HANGS, HANGS) as started:
        driven.pids += [each.pid for each in started]
        began = time.monotonic()
        driven.leaving._order("SIGTERM")
        assert {each.wait(10) for each in started} <= {3, -9}
        assert time.monotonic() - began < 2
    assert driven.watch.error(1) is None
    assert capsys.readouterr().out == "leaving (SIGTERM)\n"


def test_ranks_that_do_not_heed_the_order_and_save_nothing_are_ended(folder: Path) -> None:
    driven = Driven(folder)
    with driven.watch, ranks(folder, HANGS) as started:
        driven.pids += [each.pid for each in started]
        os.kill(started[0].pid, signal.SIGSTOP)
        driven.leaving._order("SIGTERM")
        assert started[0].wait(3) == -9
    assert driven.watch.ended == "SIGTERM"


def test_a_rank_that_saves_something_and_has_not_said_so_yet_is_not_ended(folder: Path) -> None:
    driven = Driven(folder)
    begins = f"if Path(sys.argv[1], 'begin').exists(): {SAVES}"
    with driven.watch, ranks(folder, begins, begin="rank.TICK = 0.8") as started:
        driven.pids += [each.pid for each in started]
        time.sleep(0.2)  # the last short tick
        (folder / "begin").touch()
        time.sleep(0.1)
        driven.leaving._order("SIGTERM")
        assert started[0].wait(10) == 0
    assert "left on SIGTERM" in (folder / "log.0.txt").read_text()
    assert driven.watch.ended is None


def test_a_step_that_takes_longer_than_grace_is_ended(folder: Path, capsys) -> None:
    driven = Driven(folder, grace=1)
    with driven.watch, ranks(folder, HANGS, begin=SAVES) as started:
        driven.pids += [each.pid for each in started]
        wait_for(lambda: all(beat.saves for beat in read_beats(folder)))
        driven.leaving._order("SIGTERM")
        assert started[0].wait(10) == -9
    assert "launch.grace=1 is over: all processes are ended" in capsys.readouterr().out


CHILDREN = """
import subprocess, sys

sleep = "import time; time.sleep(61)"
other = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
subprocess.Popen([sys.executable, "-c", other, sleep], start_new_session=True)
"""


def test_a_second_signal_ends_everything_within_two_seconds(folder: Path) -> None:
    driven = Driven(folder)
    begin = f"{SAVES}; exec({CHILDREN!r})"
    with driven.watch, ranks(folder, HANGS, HANGS, begin=begin) as started:
        driven.pids += [each.pid for each in started]
        wait_for(lambda: len(descendants(driven.pids)) == 4)
        doomed = descendants(driven.pids)
        driven.leaving._receive(signal.SIGINT, None)
        time.sleep(0.2)
        began = time.monotonic()
        driven.leaving._receive(signal.SIGINT, None)
        assert [each.wait(10) for each in started] == [-9, -9]
        assert time.monotonic() - began < 2
        wait_for(lambda: all(name_of(pid).state == "gone" for pid in doomed), 1)
        wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in doomed), 5)  # a zombie
    assert driven.watch.ended == "a second signal"


def descendants(roots: list[int]) -> list[int]:
    """Return what descends from processes, without them."""
    import psutil

    return [c.pid for root in roots for c in psutil.Process(root).children(recursive=True)]


def test_a_stopped_rank_is_named_and_the_others_leave_their_stacks(folder: Path) -> None:
    driven = Driven(folder, watchdog=8 * BEAT_PERIOD)
    with driven.watch, ranks(folder, WORKS, WORKS, begin=SAVES) as started:
        driven.pids += [each.pid for each in started]
        time.sleep(2 * BEAT_PERIOD)
        os.kill(started[1].pid, signal.SIGSTOP)
        assert [each.wait(20) for each in started] == [-9, -9]
    error = driven.watch.error(1) or ""
    assert error.startswith(f"rank 1 ({this_process().host}, pid {started[1].pid}) is stopped: ")
    assert "no sign of life" in error and str(folder / "ranks") in error
    assert [file.name for file in stacks(folder)] == ["0.stack"]
    assert "Thread" in (folder / "ranks" / "0.stack").read_text()


def test_a_killed_rank_is_named_and_the_others_end(folder: Path) -> None:
    driven = Driven(folder)
    with driven.watch, ranks(folder, WORKS, HANGS, begin=SAVES) as started:
        driven.pids += [each.pid for each in started]
        time.sleep(1.2)
        began = time.monotonic()
        started[1].kill()
        assert started[0].wait(10) == -9
        assert time.monotonic() - began < 7
    who = f"rank 1 ({this_process().host}, pid {started[1].pid})"
    assert driven.watch.error(1) == f"{who} has died"
    assert driven.watch.error(-9).startswith(f"{who} was killed by SIGKILL, as the kernel")


def test_ranks_without_progress_hang_and_the_slowest_is_named(folder: Path) -> None:
    driven = Driven(folder, timeout=2)
    works_first = "progress() if pulse.done < 9 else time.sleep(60)"
    begin = f"{SAVES}; pulse.in_step, pulse.step = True, 7"
    with driven.watch, ranks(folder, works_first, HANGS, begin=begin) as started:
        driven.pids += [each.pid for each in started]
        assert [each.wait(20) for each in started] == [-9, -9]
    error = driven.watch.error(1) or ""
    assert f"rank 1 ({this_process().host}, pid {started[1].pid}) hangs at step 7" in error
    assert "no process got anything done for 2 s (launch.timeout)" in error
    assert len(stacks(folder)) == 2


def test_what_a_process_computes_before_its_first_step_is_progress(folder: Path) -> None:
    driven = Driven(folder, timeout=3)
    with driven.watch, ranks(folder, "sum(range(10**6))") as started:
        driven.pids += [each.pid for each in started]
        time.sleep(4)
        assert started[0].poll() is None and driven.watch.trouble is None


def test_ranks_leave_when_their_driver_has_died(folder: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    name = name_of(dead.pid)
    write_control(folder, Control(name, 1, Bounds(watchdog=60)))
    with ranks(folder, WORKS, WORKS, begin=SAVES, driver=name.text) as started:
        time.sleep(0.5)
        assert [each.poll() for each in started] == [None, None]
        dead.kill()
        dead.wait()
        assert [each.wait(5) for each in started] == [0, 0]
    assert "left on the end of its driver" in (folder / "log.0.txt").read_text()


def test_ranks_leave_when_their_driver_is_silent_and_end_after_grace(folder: Path) -> None:
    write_control(folder, Control(this_process(), 1, Bounds(1.0, 60, 1.5)))
    with ranks(folder, WORKS, HANGS, begin=SAVES) as started:
        assert started[0].wait(10) == 0
        assert started[1].wait(10) == 3
    assert "s of silence of its driver" in (folder / "log.0.txt").read_text()


def test_a_rank_of_a_driver_that_is_gone_does_not_begin(folder: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    name = name_of(gone.pid)
    gone.wait()
    rank = start_rank(folder, driver=name.text)
    assert rank.wait(20) == 1
    assert "has not begun: the end of its driver" in (folder / "log.0.txt").read_text()


def test_a_rank_by_hand_needs_no_driver_and_heeds_signals(folder: Path) -> None:
    write_control(folder, Control(this_process(), 1, Bounds(watchdog=0.1)))  # of an earlier run
    with ranks(folder, WORKS, begin=SAVES, driver="") as [rank]:
        time.sleep(1)
        assert rank.poll() is None
        rank.send_signal(signal.SIGHUP)
        assert rank.wait(5) == 0
    assert "left on SIGHUP" in (folder / "log.0.txt").read_text()


def test_ranks_by_hand_watch_each_other(folder: Path) -> None:
    with ranks(folder, WORKS, WORKS, begin=BOUNDS, driver="") as (
        one,
        other,
    ):
        time.sleep(1)
        os.kill(other.pid, signal.SIGSTOP)
        assert one.wait(20) == 1
    [(number, text)] = errors(folder)
    assert number == 0 and f"rank 1 ({this_process().host}, pid {other.pid}) is stopped" in text


def test_what_cannot_be_interrupted_ends_the_rank_with_its_sentence(folder: Path) -> None:
    begin = f"pulse.overdue = (time.monotonic(), 'the judge is late'); {SAVES}"
    with ranks(folder, HANGS, begin=begin) as [rank]:
        assert rank.wait(10) == 1
    assert errors(folder) == [(0, "the judge is late")]
    assert "in <module>" in (folder / "ranks" / "0.stack").read_text()


def test_a_second_ctrl_c_ends_a_rank_by_hand(folder: Path) -> None:
    with ranks(folder, HANGS, begin=SAVES, driver="") as [rank]:
        wait_for(lambda: all(beat.saves for beat in read_beats(folder)))
        time.sleep(0.5)
        rank.send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert rank.poll() is None
        rank.send_signal(signal.SIGINT)
        assert rank.wait(2) == 3


def test_no_driver_begins_while_workers_of_another_are_at_work(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr("r1trl.watch.lock.PATIENCE", 0.5)
    run = folder.parent.parent
    with ranks(folder, WORKS, begin=SAVES) as [rank]:
        with pytest.raises(ConfigError) as raised:
            take_over(folder, "another")
        who = f"s: rank 0 ({this_process().host}, pid {rank.pid})"
        expected = f"name: workers of an earlier r1trl are still at work in {run}: {who}; wait for"
        assert str(raised.value).startswith(expected)
    take_over(folder, own_name())


def test_a_rank_of_another_driver_does_not_begin(folder: Path) -> None:
    take_over(folder, "another")
    rank = start_rank(folder, driver=own_name())
    assert rank.wait(20) == 1
    assert "another r1trl is at work there" in (folder / "log.0.txt").read_text()


def test_a_worker_by_hand_does_not_begin_beside_a_driver_or_another(folder: Path) -> None:
    with locked(folder.parent.parent):
        assert start_rank(folder, driver="").wait(20) == 1
    assert "another r1trl is at work in " in (folder / "log.0.txt").read_text()
    with ranks(folder, WORKS, begin=SAVES, driver=""):
        assert start_rank(folder, driver="").wait(20) == 1
        with (
            pytest.raises(ConfigError, match="another r1trl is at work"),
            locked(folder.parent.parent),
        ):
            pass


def test_a_rank_that_no_signal_reaches_ends_after_its_launcher_has_failed(folder: Path) -> None:
    driven = Driven(folder)
    with driven.watch, ranks(folder, HANGS) as (rank,):
        driven.watch.end_ranks()
        assert rank.wait(10) == 1


def test_rank_0_says_soon_what_it_counts(folder: Path) -> None:
    counts = "from r1trl.process.pulse import count, spend; count('rows', 3, 8); spend('x', 2.5)"
    driven = Driven(folder)
    begin = f"{SAVES}; rank.PERIOD = 60; {counts}; pulse.notice = 'half'"
    with driven.watch, ranks(folder, WORKS, WORKS, begin=begin) as started:
        wait_for(lambda: (beat := first_beat(folder)) and beat.counts)
        beat = first_beat(folder)
        assert beat and beat.counts == {"rows": [3, 8]} and beat.spent == {"x": 2.5}
        assert beat.notice == "half"
        driven.leaving._order("SIGTERM")
        assert [each.wait(10) for each in started] == [0, 0]
