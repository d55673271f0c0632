"""A sample has the seconds that it runs or sleeps, whatever else the machine does, and no more."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from machine import require
from r1trl_code.reward import code
from r1trl_math.reward import accuracy

from r1trl.plugins.loading import load
from r1trl.rewards import limits
from r1trl.rewards.pool import Failure, Job, Pool

PLUGIN = """
import os, signal, subprocess, sys, threading, time
from pathlib import Path
import r1trl

SLEEP = "import time; time.sleep(60)"
HELPER = []

def note(folder, pid):
    Path(folder, str(pid)).touch()

def child(folder):
    note(folder, subprocess.Popen([sys.executable, "-c", SLEEP]).pid)

def session(folder):
    code = [sys.executable, "-c", SLEEP]
    note(folder, subprocess.Popen(code, start_new_session=True).pid)

def forked(folder):
    pid = os.fork()
    if not pid:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(60)
        os._exit(0)
    note(folder, pid)

def daemon(folder):
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    note(folder, os.getpid())
    time.sleep(60)
    os._exit(0)

def helper():
    HELPER.append(subprocess.Popen([sys.executable, "-c", SLEEP]))

def thread(folder):
    threading.Thread(target=spin, args=(60,), daemon=True).start()

def spin(seconds):
    while time.process_time() < seconds:
        pass

@r1trl.verifier(setup=helper)
def helped(completion: str, number: int = 0):
    os.kill(HELPER[0].pid, 0)
    return float(HELPER[0].pid)

def absent():
    raise RuntimeError("no dictionary here")

@r1trl.verifier(setup=absent)
def unready(completion: str, number: int = 0):
    return 1.0

@r1trl.verifier
def verdict(completion: str, folder: str = "", number: int = 0):
    how, _, then = completion.partition(" ")
    if how in globals() and how != "spin":
        globals()[how](folder)
        time.sleep(0.3)  # a daemon needs a moment to write its pid
    if how == "spin":
        spin(time.process_time() + float(then))
    if how == "sleep":
        time.sleep(float(then))
    if how == "take":
        taken = bytearray(int(then) << 20)
        time.sleep(1)
    if how == "takers":
        code = f"import time; taken = bytearray({int(then)} << 20); time.sleep(5)"
        for _ in range(3):
            subprocess.Popen([sys.executable, "-c", code])
        time.sleep(5)
    if then == "hang":
        time.sleep(60)
    if then == "die":
        os._exit(1)
    return float(os.getpid()) if how == "pid" else 1.0

@r1trl.hookimpl
def r1trl_rewards():
    return {"verdict": verdict, "helped": helped, "unready": unready}
"""
STARTERS = ("child", "session", "forked", "daemon")


@pytest.fixture
def plugins(plugin_file: Any) -> Any:
    """Return the plugins, with verifiers that start processes, by the completion."""
    return load([plugin_file(PLUGIN)])


@pytest.fixture
def verdict(plugins: Any) -> Any:
    """Return a verifier that does what the completion says."""
    return plugins.find("reward", "verdict").target


@contextmanager
def pool_of(size: int, deadline: float, patience: float | None = None) -> Iterator[Pool]:
    """Yield a pool, and close it."""
    pool = Pool(size, deadline, patience)
    try:
        yield pool
    finally:
        pool.close()


@contextmanager
def busy(count: int, core: int | None = None) -> Iterator[None]:
    """Keep processes busy, all on one core if it is given."""
    spin = [sys.executable, "-c", "while True: pass"]  # a session's processes share a core
    spinning = [subprocess.Popen(spin, start_new_session=True) for _ in range(count)]
    for process in spinning:
        if core is not None:
            os.sched_setaffinity(process.pid, {core})
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


def ask(verdict: Any, pool: Pool, completions: list[str], folder: Path | str = "") -> list[Any]:
    """Score completions; they are told apart by number."""
    count = len(completions)
    rows = {"completion": completions, "folder": [str(folder)] * count, "number": [*range(count)]}
    found: list[Any] = verdict.score(rows, {}, pool)
    return found


def noted(folder: Path) -> list[int]:
    """Return the processes that a verifier has noted."""
    return [int(path.name) for path in folder.iterdir() if path.name.isdigit()]


def running(pids: list[int]) -> bool:
    """Return True if any of the processes runs."""
    table = limits.process_table()
    return any(pid in table and not table[pid].is_zombie for pid in pids)


def end(pids: list[int], seconds: float = 5.0) -> bool:
    """Return True if none of the processes, of which there are some, runs any more, soon."""
    until = time.monotonic() + seconds
    while running(pids) and time.monotonic() < until:
        time.sleep(0.05)
    return bool(pids) and not running(pids)


@pytest.mark.parametrize("completion", ["spin 60", "sleep 60"])
def test_an_answer_that_hangs_costs_the_deadline_and_less_than_a_second(
    completion: str, verdict: Any
) -> None:
    with pool_of(1, 1.0, patience=60.0) as pool:
        ask(verdict, pool, ["warm"])
        (result,) = pool.score([Job(verdict.import_path, (completion,), {})])
        assert result.value == Failure("timeout", "no verdict within 1 s")
        # A busy machine makes a loop wait, which is not counted.
        assert 0.9 < result.seconds < (2 if completion == "sleep 60" else 60)


@pytest.mark.parametrize(
    ("how", "then"),
    [
        *((how, "hang") for how in STARTERS),
        ("forked", "die"),
        ("daemon", "die"),
        ("session", "end"),
    ],
)
def test_what_a_sample_has_started_ends_with_it(
    how: str, then: str, verdict: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "pids"
    folder.mkdir()
    with pool_of(1, 0.8) as pool:
        (value,) = ask(verdict, pool, [f"{how} {then}"], folder)
        assert getattr(value, "kind", value) == {"hang": "timeout", "die": "error"}.get(then, 1.0)
        assert end(noted(folder))
        assert ask(verdict, pool, ["a"]) == [1.0]


def test_a_process_that_has_ended_what_a_sample_left_takes_the_next_one(
    verdict: Any, tmp_path: Path
) -> None:
    with pool_of(1, 5.0) as pool:
        (pid,) = ask(verdict, pool, ["pid"])
        assert ask(verdict, pool, ["daemon"], tmp_path) == [1.0]
        assert end(noted(tmp_path))
        assert ask(verdict, pool, ["pid"]) == [pid]


def test_what_a_setup_has_started_stays_for_all_samples_and_ends_with_the_pool(
    plugins: Any,
) -> None:
    helped = plugins.find("reward", "helped").target
    with pool_of(1, 5.0) as pool:
        first = ask(helped, pool, ["a"])
        assert first[0] > 0 and ask(helped, pool, ["a", "b"]) == first * 2
        assert running([int(first[0])])
    assert end([int(first[0])])


def test_a_setup_that_fails_is_the_error_of_every_sample(plugins: Any) -> None:
    unready = plugins.find("reward", "unready").target
    with pool_of(2, 5.0) as pool:
        pool.warm([unready.import_path])
        rows = {"completion": ["a", "b", "c"], "number": [1, 2, 3]}
        results = unready.score(rows, {}, pool)
    message = "it could not be set up: RuntimeError: no dictionary here"
    assert results == [Failure("error", message)] * 3


@pytest.mark.parametrize("how", ["session", "daemon"])
def test_what_a_sample_has_started_ends_when_the_run_is_killed(
    how: str, plugin_file: Any, tmp_path: Path
) -> None:
    source = f"""
    from r1trl.plugins.loading import load
    from r1trl.rewards.pool import Pool
    verdict = load([{plugin_file(PLUGIN)!r}]).find("reward", "verdict").target
    rows = {{"completion": ["{how} hang"], "folder": [{str(tmp_path)!r}]}}
    verdict.score(rows, {{}}, Pool(1, 30.0))
    """
    run = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(source)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        start_new_session=True,
    )
    until = time.monotonic() + 30
    while not noted(tmp_path) and time.monotonic() < until:
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    assert end(noted(tmp_path))


def test_the_time_of_all_processes_of_a_sample_counts() -> None:
    spin = "import time\nwhile time.process_time() < 0.45: pass"
    start = f"import subprocess as s; [s.run([{sys.executable!r}, '-c', {spin!r}]) for _ in '12']"
    both = f"{start}; s.Popen([{sys.executable!r}, '-c', {spin!r}]); import time; time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", both], start_new_session=True)
    until, used = time.monotonic() + 20, 0.0
    while used < 1.2 and time.monotonic() < until:
        time.sleep(0.1)
        table = limits.process_table()
        used = sum(table[pid].seconds for pid in limits.tree(process.pid, table))
    limits.kill_tree(process.pid)
    process.wait()
    assert used >= 1.2, "two that have ended and one that may run"


@pytest.mark.slow
@pytest.mark.long
def test_waiting_for_a_core_is_not_counted_but_bounded_by_patience(verdict: Any) -> None:
    require("processes of Linux", sys.platform == "linux", "no /proc and affinities")
    core = min(os.sched_getaffinity(0))
    with pool_of(1, 1.0, patience=60.0) as pool, busy(5, core):
        (pid,) = ask(verdict, pool, ["pid"])
        os.sched_setaffinity(int(pid), {core})
        (result,) = pool.score([Job(verdict.import_path, ("spin 0.5",), {})])
        assert result.value == 1.0 and result.seconds > 1.2, "it waited longer than the deadline"
        pool._limits.patience = 1.5
        (result,) = pool.score([Job(verdict.import_path, ("spin 60",), {})])
        assert isinstance(result.value, Failure) and result.value.kind == "timeout"
        assert "no verdict within scoring.patience=1.5 s; it ran or slept 0." in (
            result.value.message
        )
        assert 1.4 < result.seconds < 2.5


@pytest.mark.slow
@pytest.mark.long
def test_no_answer_waits_for_those_that_hang(verdict: Any) -> None:
    with pool_of(2, 3.0) as pool:
        ask(verdict, pool, ["warm", "b"])
        hanging = threading.Thread(target=ask, args=(verdict, pool, ["sleep 60"] * 8))
        hanging.start()
        time.sleep(0.5)
        began = time.monotonic()
        assert ask(verdict, pool, ["a"] * 20) == [1.0] * 20
        assert time.monotonic() - began < 2
        hanging.join()


def test_a_sample_whose_processes_hold_too_much_memory_is_an_error(
    verdict: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MEMORY_BYTES", 500 << 20)
    with pool_of(1, 20.0) as pool:
        (result,) = pool.score([Job(verdict.import_path, ("takers 200",), {})])
        assert isinstance(result.value, Failure) and result.value.kind == "error"
        assert result.value.message.startswith("MemoryError: its processes hold over")
        assert result.seconds < 5


def test_slow_samples_take_together_no_more_memory_than_is_left(
    verdict: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "free_memory", lambda: 600 << 20)
    with pool_of(2, 20.0) as pool:
        found = ask(verdict, pool, ["take 200", "take 380", "take 150"])
        assert found[0] == found[2] == 1.0
        assert found[1] == Failure("error", "MemoryError: it takes the most, and 600 MiB are left")


def test_what_is_left_is_that_of_the_control_group(tmp_path: Path) -> None:
    for name, text in {
        "memory.max": "1000",
        "memory.current": "900",
        "memory.stat": "anon 500\ninactive_file 300\nactive_file 100\n",
    }.items():
        (tmp_path / name).write_text(text)
    assert limits._left_in(tmp_path) == 500, "files can be dropped"
    (tmp_path / "memory.max").write_text("max")
    assert limits._left_in(tmp_path) > 1 << 60
    assert 0 < limits.free_memory() <= psutil.virtual_memory().total


def test_a_process_that_a_sample_has_made_large_is_replaced(verdict: Any) -> None:
    with pool_of(1, 20.0) as pool:
        before = ask(verdict, pool, ["pid"])
        assert ask(verdict, pool, ["take 100"]) == [1.0] and ask(verdict, pool, ["pid"]) == before
        assert ask(verdict, pool, ["take 700"]) == [1.0] and ask(verdict, pool, ["pid"]) != before


def test_a_process_in_which_a_sample_has_left_a_thread_is_replaced(verdict: Any) -> None:
    with pool_of(1, 5.0) as pool:
        before = ask(verdict, pool, ["pid"])
        assert ask(verdict, pool, ["thread"]) == [1.0]
        assert ask(verdict, pool, ["pid"]) != before and end([int(before[0])])


HANGING = [rf"\boxed{{9^{{9^{{9^{{{n}}}}}}}}}" for n in (8, 9)]


@pytest.mark.slow
@pytest.mark.long
def test_with_eight_busy_processes_no_right_answer_is_without_a_verdict() -> None:
    count, patience = 32, 12.0
    right = [rf"So it is \boxed{{\frac{{{i}\sqrt{{7}}}}{{{i + 1}}}}}." for i in range(1, count + 1)]
    golds = [rf"\frac{{\sqrt{{{7 * i * i}}}}}{{{i + 1}}}" for i in range(1, count + 1)]
    with pool_of(2, 2.0, patience) as pool, busy(8):
        warm = {"completion": [r"\boxed{\sqrt{4}}"], "solution": [r"\frac{4}{2}"]}
        assert accuracy.score(warm, {}, pool) == [1.0]
        began = time.monotonic()
        rows = {"completion": [*HANGING, *right], "solution": [r"\sqrt{5}"] * 2 + golds}
        found = accuracy.score(rows, {}, pool)
        took = time.monotonic() - began
    print(f"{count} right answers and 2 that hang: {took:.1f} s")
    assert found[2:] == [1.0] * count
    assert took < patience + 1


@pytest.mark.slow
def test_with_eight_busy_processes_no_right_program_is_without_a_verdict() -> None:
    program = "```python\nprint(sum(map(int, input().split())) + {0} - {0})\n```"
    rows = {
        "completion": [program.format(i) for i in range(32)],
        "tests": [[{"input": f"{i} 1", "output": f"{i + 1}"}] for i in range(32)],
    }
    with pool_of(2, 10.0) as pool, busy(8):
        began = time.monotonic()
        assert code.score(rows, {}, pool) == [1.0] * 32
        print(f"32 programs: {time.monotonic() - began:.1f} s")
