"""The pool of scoring processes: it survives whatever a sample does."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from r1trl.plugins.loading import load
from r1trl.rewards.pool import Failure, Pool, cores

PLUGIN = """
import os, time
import r1trl

@r1trl.verifier
def verdict(completion: str, number: int = 0) -> float:
    while completion == "hang":
        pass
    if completion == "memory":
        kept = [bytearray(1 << 30) for _ in range(64)]
    if completion == "pid":
        return float(os.getpid())
    return float(len(completion))

@r1trl.hookimpl
def r1trl_rewards():
    return {"verdict": verdict}
"""


@pytest.fixture
def verdict(plugin_file: Any) -> Any:
    """Return a verifier that hangs or allocates all memory, by its completion."""
    return load([plugin_file(PLUGIN)]).find("reward", "verdict").target


@pytest.fixture
def pool() -> Iterator[Pool]:
    """Return a pool of two processes."""
    made = Pool(2, 2.0)
    yield made
    made.close()


def ask(verdict: Any, pool: Pool, completions: list[str]) -> list[Any]:
    """Score completions."""
    found: list[Any] = verdict.score({"completion": completions}, {}, pool)
    return found


def alive(pid: int) -> bool:
    """Return True if a process exists and is no zombie."""
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_a_sample_that_eats_all_memory_is_an_error_and_the_next_gets_a_fresh_process(
    verdict: Any, pool: Pool
) -> None:
    pool = Pool(1, 60.0)  # a busy machine takes long to fill its memory
    (before,) = ask(verdict, pool, ["pid"])
    (found,) = ask(verdict, pool, ["memory"])
    assert isinstance(found, Failure) and found.message.startswith("MemoryError")
    (after,) = ask(verdict, pool, ["pid"])
    assert after != before
    pool.close()


def test_a_pool_answers_several_threads_at_once(verdict: Any, pool: Pool) -> None:
    found: dict[int, list[Any]] = {}

    def score(number: int) -> None:
        texts = ["x" * (number + i) for i in range(20)]
        found[number] = ask(verdict, pool, texts)

    threads = [threading.Thread(target=score, args=(n,)) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {n: [float(n + i) for i in range(20)] for n in range(5)}


def test_closing_ends_every_process_even_one_that_hangs(verdict: Any) -> None:
    pool = Pool(1, 60.0)
    (pid,) = ask(verdict, pool, ["pid"])
    caught: list[Any] = []
    thread = threading.Thread(target=lambda: caught.append(_closed(verdict, pool)))
    thread.start()
    time.sleep(0.3)
    pool.close()
    thread.join(5)
    assert not thread.is_alive()
    deadline = time.monotonic() + 5
    while alive(int(pid)) and time.monotonic() < deadline:  # a killed process takes its time
        time.sleep(0.05)
    assert not alive(int(pid))
    assert caught == ["closed"]


def _closed(verdict: Any, pool: Pool) -> str:
    try:
        return str(ask(verdict, pool, ["hang"]))
    except RuntimeError as error:
        return "closed" if "closed" in str(error) else str(error)


def test_warming_starts_every_process_before_there_is_a_sample(verdict: Any) -> None:
    me, deadline = psutil.Process(), time.monotonic() + 20
    others, pool = _scoring(me), Pool(2, 5.0)
    pool.warm([verdict.import_path])
    while len(_scoring(me) - others) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(_scoring(me) - others) == 3, "two, and the one that they are forked from"
    pool.close()
    assert not _scoring(me) - others


def _scoring(process: psutil.Process) -> set[int]:
    children = process.children(recursive=True)
    return {c.pid for c in children if "r1trl.rewards.process" in " ".join(c.cmdline())}


def test_samples_that_take_long_do_not_hold_up_the_others(verdict: Any) -> None:
    pool = Pool(1, 2.0, patience=4.0)
    ask(verdict, pool, ["warm"])
    began = time.monotonic()
    found = ask(verdict, pool, ["hang", "a", "bb", "ccc"])
    assert isinstance(found[0], Failure) and found[1:] == [1.0, 2.0, 3.0]
    assert time.monotonic() - began < 6
    pool.close()


@pytest.mark.slow
def test_many_hanging_samples_take_the_patience_at_most(verdict: Any) -> None:
    pool = Pool(1, 2.0, patience=4.0)
    ask(verdict, pool, ["warm"])
    began = time.monotonic()
    rows = {"completion": ["hang"] * 6 + ["a"] * 3, "number": list(range(9))}
    found = verdict.score(rows, {}, pool)
    took = time.monotonic() - began
    assert [getattr(v, "kind", v) for v in found] == ["timeout"] * 6 + [1.0] * 3
    assert took < 6, "one after another they would take 12 s"
    pool.close()


def test_killing_every_scoring_process_in_turn_loses_no_sample(verdict: Any) -> None:
    me = psutil.Process()
    others, pool = _scoring(me), Pool(2, 10.0)
    texts = ["x" * n for n in range(8)]
    ask(verdict, pool, texts)
    killed = 0
    for pid in sorted(_scoring(me) - others):
        os.kill(pid, signal.SIGKILL)
        killed += 1
        assert ask(verdict, pool, texts) == [float(n) for n in range(8)]
    assert killed == 3
    for pid in _scoring(me) - others:
        os.kill(pid, signal.SIGKILL)
    assert ask(verdict, pool, texts) == [float(n) for n in range(8)], "all of them at once"
    pool.close()
    assert not _scoring(me) - others


@pytest.mark.parametrize("state", ["idle", "hang"])
def test_scoring_processes_end_when_their_parent_is_killed(
    state: str, plugin_file: Any, tmp_path: Path
) -> None:
    source = f"""
    from r1trl.plugins.loading import load
    from r1trl.rewards.pool import Pool
    verdict = load([{plugin_file(PLUGIN)!r}]).find("reward", "verdict").target
    pool = Pool(1, 1.5)
    (pid,) = verdict.score({{"completion": ["pid"]}}, {{}}, pool)
    print(int(pid), flush=True)
    verdict.score({{"completion": [{state!r}]}}, {{}}, pool)
    input()
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(source)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert parent.stdout and parent.stdin
    child = int(parent.stdout.readline())
    time.sleep(0.3)
    assert alive(child)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    parent.stdin.close()
    deadline = time.monotonic() + 5
    while alive(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(child)


@pytest.mark.parametrize(
    ("environment", "share"),
    [
        ({}, 16),
        ({"WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4"}, 4),  # two machines
        ({"WORLD_SIZE": "8"}, 2),  # a launcher that does not say how many are here
        ({"WORLD_SIZE": "32", "LOCAL_WORLD_SIZE": "32"}, 1),
    ],
)
def test_the_ranks_of_a_machine_share_its_cores(
    environment: dict[str, str], share: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert cores() == share
