"""Sample stages: kills change no row, other settings start anew, servers may fail."""

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from completion_server import running_servers
from datasets import Dataset
from stage_runs import assert_rounds_end_with_a_right_answer, workers

from r1trl.errors import ConfigError
from r1trl.identity.used import set_aside
from r1trl.plan.plan import make_plan
from r1trl.run.worker import run_stage_folder
from r1trl.stage.files import write_spec

RECIPE = """# @package _global_
defaults:
  - /stage@stages.samples: sample
  - _self_
stages:
  samples:
    model: ${model.path}
    template: ${template.zero}
    data:
      problems: {sample_rows: 48}
    sampling: {n: 2, shard_size: 4}
    rewards:
      accuracy: {weight: 1.0, answer: answer_tag}
"""
Stage = Callable[..., Path]


@pytest.fixture
def stage(tmp_path: Path, composed: Any) -> Stage:
    """Return a function that writes stage.yaml of a sample stage and returns its folder."""
    (tmp_path / "conf" / "recipe").mkdir(parents=True)
    (tmp_path / "conf" / "recipe" / "samples.yaml").write_text(RECIPE)

    def lay_out(name: str, *overrides: str) -> Path:
        shared = ["recipe=samples", "scale=tiny", f"runs_dir={tmp_path}", f"name={name}"]
        planned = make_plan(composed(*shared, *overrides, own=tmp_path / "conf")).stages[0]
        write_spec(planned.folder, planned.spec)
        return planned.folder

    return lay_out


def rollouts(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of rollouts.parquet."""
    return Dataset.from_parquet(
        str(folder / "rollouts.parquet"), cache_dir=str(folder / "cache")
    ).to_list()


@pytest.mark.slow
@pytest.mark.parametrize("times", [2, pytest.param(10, marks=pytest.mark.long)])
def test_a_killed_stage_has_the_rows_of_an_uninterrupted_one(times: int, stage: Stage) -> None:
    small = ("stages.samples.sampling.n=2", "stages.samples.sampling.shard_size=2")
    whole, killed = stage("whole", *small), stage("killed", *small)
    local = {"how": "local", "environment": {}}
    rng, kills = random.Random(3), 0
    assert workers().run(whole, local) == 0
    while not (killed / "result.json").exists():
        delay = rng.choice([0.1, 0.4, 0.7, None, None])  # seconds; None: a shard more
        kill = threading.Thread(target=kill_soon, args=[workers()._warm.pid, killed, delay])
        if kills < times:
            kill.start()
        kills += workers().run(killed, local) == -signal.SIGKILL
    assert kills == times
    assert rollouts(killed) == rollouts(whole)
    assert Counter(row["problem"] for row in rollouts(killed)) == dict.fromkeys(range(48), 2)


def kill_soon(pid: int, folder: Path, delay: float | None) -> None:
    """Kill the worker of a stage after a delay in seconds, or when it has finished a shard."""
    start, before = time.monotonic(), shards_in(folder)
    while time.monotonic() - start < 60:
        if shards_in(folder) > before if delay is None else time.monotonic() - start > delay:
            kill_child(pid)
            return
        time.sleep(0.005)


def shards_in(folder: Path) -> int:
    """Return the number of finished shards."""
    return len(list(folder.glob("shards/*/*.parquet")))


def kill_child(pid: int) -> None:
    """Kill the worker that a warm process has forked."""
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        os.kill(int(child), signal.SIGKILL)


@pytest.mark.slow
def test_a_stage_generates_more_completions_until_enough_are_right(stage: Stage) -> None:
    sampling = "stages.samples.sampling"
    until_right = (f"{sampling}.n=2", f"{sampling}.stop_after_correct=1", f"{sampling}.max_n=5")
    folder = stage("early", *until_right)
    run_stage_folder(folder)
    assert_rounds_end_with_a_right_answer(rollouts(folder), "accuracy", 48)


@pytest.mark.slow
def test_a_half_done_stage_does_not_go_on_with_other_settings_and_is_done_anew_or_kept(
    stage: Stage,
) -> None:
    four = ("stages.samples.data.problems.sample_rows=4", "stages.samples.checkpoints=keep")
    short = (*four, "stages.samples.sampling.max_tokens=3")
    folder = stage("same", *four)
    run_stage_folder(folder)
    before = rollouts(folder)
    (folder / "result.json").unlink()
    with pytest.raises(ConfigError, match="max_tokens: was 96, would be 3, and the stage is half"):
        stage("same", *short)
    stage("same", *short, "keep=samples")
    run_stage_folder(folder)
    assert rollouts(folder) == before, "the shards were those of the kept stage"
    set_aside(folder)
    stage("same", *short)
    run_stage_folder(folder)
    assert max(row["completion_tokens"] for row in before) > 3
    assert max(row["completion_tokens"] for row in rollouts(folder)) == 3


def test_a_sample_stage_samples_from_servers_that_fail(stage: Stage) -> None:
    with running_servers(3) as servers:
        dies, slow, fails = servers
        dies.dies_after, slow.seconds, fails.broken_until = 10, 0.05, time.monotonic() + 1
        urls = ",".join(server.url for server in servers)
        endpoints = f"{{urls: [{urls}], model: m, patience: 20}}"
        folder = stage("served", f"stages.samples.endpoints={endpoints}")
        run_stage_folder(folder)
    rows = rollouts(folder)
    assert Counter(row["problem"] for row in rows) == dict.fromkeys(range(48), 2)
    assert len({row["completion"] for row in rows}) == 96, "every request has its own seed"
    assert all(row["finished"] and row["answer/accuracy"].isdecimal() for row in rows)
    assert all(row["tokens_spent"] == row["completion_tokens"] > 5 for row in rows)
