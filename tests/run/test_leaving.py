"""The command is left and watched: real drivers, warm processes, launchers and ranks."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ranks import at_work_in, wait_for

pytestmark = pytest.mark.slow

RECIPE = """# @package _global_
defaults:
  - /stage@stages.learns: grpo
  - _self_
stages:
  learns:
    model: ${model.path}
    template: ${template.zero}
    data: {problems: {sample_rows: 64}}
    rollout: {outputs: 32, minibatches: 4}
    rewards: {mine: {}}
    args:
      max_steps: 64
      save_steps: 4
      logging_steps: 1
      num_generations: 4
      per_device_train_batch_size: 4
      max_completion_length: 16
      beta: 0.0
      sync_ref_model: false
"""
PLUGIN = '''
import os
import time
from pathlib import Path

import r1trl


def mine(
    prompts, completions, completion_ids, *, seconds: float = 0.0, fails: str = "", **columns
):
    """Score by length after some seconds; fail on a rank."""
    Path("scoring").touch()
    if os.environ.get("RANK") == fails:
        raise ValueError("no licence")
    time.sleep(seconds)
    return [len(ids) % 3 / 2 for ids in completion_ids]


@r1trl.verifier
def sleeps(completion: str, *, seconds: float = 60.0) -> float:
    """Take a minute."""
    Path("scoring").touch()
    time.sleep(seconds)
    return 0.0


class Slow:
    """Makes every step take a while."""

    def __init__(self, *, seconds: float):
        self.seconds = seconds

    def __call__(self, result):
        return result

    def should_stop(self, progress):
        time.sleep(self.seconds)


@r1trl.hookimpl
def r1trl_rewards():
    return {"mine": mine, "sleeps": sleeps}


@r1trl.hookimpl
def r1trl_transitions():
    return {"slow": Slow}
'''
Driver = Callable[..., "subprocess.Popen[str]"]
SLOW = "stages.learns.transitions.slow={seconds: 0.7}"


@pytest.fixture
def driver(tmp_path: Path) -> Driver:
    """Return a function that starts the command in a folder of its own, with overrides."""
    (tmp_path / "conf" / "recipe").mkdir(parents=True)
    (tmp_path / "conf" / "recipe" / "mine.yaml").write_text(RECIPE)
    (tmp_path / "mine.py").write_text(PLUGIN)
    fixed = ("recipe=mine", "scale=tiny", "name=x", "preflight=false", "plugins.load=[./mine.py]")

    def start(*overrides: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "r1trl.cli", "run", "--config-dir", "conf"]
        return subprocess.Popen(
            [*command, *fixed, *overrides],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return start


def stage_of(folder: Path) -> Path:
    """Return the folder of the stage."""
    return folder / "runs" / "x" / "stages" / "learns"


def steps(folder: Path) -> int:
    """Return how many steps the stage has logged."""
    metrics = stage_of(folder) / "metrics.jsonl"
    return metrics.read_text().count('"loss"') if metrics.exists() else 0


def checkpoints(folder: Path) -> list[int]:
    """Return the steps of whole checkpoints."""
    marks = stage_of(folder).glob("checkpoints/checkpoint-*/complete.json")
    return sorted(int(mark.parent.name.partition("-")[2]) for mark in marks)


@pytest.mark.long
def test_a_sweep_ends_with_the_run_that_is_left(driver: Driver, tmp_path: Path) -> None:
    started = driver("-m", "seed=1,2", "time_limit=0:02", "launch.grace=1")
    output, _ = started.communicate(timeout=180)
    assert started.returncode == 3 and at_work_in(tmp_path) == [], output
    assert output.count("left early (time_limit)") == 1
    assert output.count("the same command continues") == 1


def test_the_warm_process_is_left_while_it_imports(driver: Driver, tmp_path: Path) -> None:
    started = driver()
    wait_for(lambda: (stage_of(tmp_path) / "control").exists(), 60)
    began = time.monotonic()
    started.send_signal(signal.SIGHUP)
    output, _ = started.communicate(timeout=30)
    assert started.returncode == 3, output
    assert time.monotonic() - began < 15, "of the 60 s that launch.grace allows"
    assert "leaving (SIGHUP)\n" in output
    assert "learns left early (SIGHUP): it begins again, " in output
    assert output.count("the same command continues") == 1
    assert at_work_in(tmp_path) == []


@pytest.mark.long
def test_a_second_ctrl_c_ends_a_reward_of_a_minute(driver: Driver, tmp_path: Path) -> None:
    started = driver("stages.learns.rewards={sleeps: {}}", "stages.learns.scoring.deadline=90")
    wait_for(lambda: (tmp_path / "scoring").exists(), 120)
    wait_for(lambda: '"saves": true' in (stage_of(tmp_path) / "ranks" / "0.json").read_text(), 20)
    started.send_signal(signal.SIGINT)
    time.sleep(0.7)
    assert started.poll() is None and len(at_work_in(tmp_path)) > 3
    began = time.monotonic()
    started.send_signal(signal.SIGINT)
    output, _ = started.communicate(timeout=30)
    assert time.monotonic() - began < 15, "two seconds, and more on a busy machine; not the 90"
    assert started.returncode == 3 and at_work_in(tmp_path) == []
    assert "leaving (SIGINT): " in output and "leaving at once\n" in output


@pytest.mark.long
def test_a_reward_that_hangs_ends_the_stage_with_its_name(driver: Driver, tmp_path: Path) -> None:
    started = driver("stages.learns.rewards.mine.seconds=600", "stages.learns.scoring.patience=12")
    output, _ = started.communicate(timeout=180)
    late = "reward 'mine': no values for 32 completions within scoring.patience=12 s"
    assert started.returncode == 1
    assert f"stage learns failed: stages.learns.rewards.mine: {late}\nsee runs/x" in output
    assert (stage_of(tmp_path) / "ranks" / "0.error").read_text().startswith("stages.learns.rew")


@pytest.mark.long
def test_the_first_error_of_a_rank_is_what_is_shown(driver: Driver, tmp_path: Path) -> None:
    started = driver("launch=cpu2", "stages.learns.rewards.mine.fails='1'")
    output, _ = started.communicate(timeout=240)
    why = "stages.learns.rewards.mine: reward 'mine' failed: ValueError: no licence"
    assert started.returncode == 1
    assert output.endswith(f"stage learns failed: {why}\nsee runs/x/stages/learns/log.txt\n")


@pytest.mark.long
@pytest.mark.parametrize("grace", [60, 0])
def test_a_rollout_is_finished_if_there_is_time(grace: int, driver: Driver, tmp_path: Path) -> None:
    started = driver(SLOW, f"launch.grace={grace}")
    wait_for(lambda: steps(tmp_path) >= 5, 120)
    started.send_signal(signal.SIGTERM)
    output, _ = started.communicate(timeout=120)
    assert started.returncode == 3, output
    reached, saved = steps(tmp_path), checkpoints(tmp_path)
    if grace:
        assert reached % 4 == 0 and saved[-1] == reached and reached > 4
        assert "leaving (SIGTERM): finishing this rollout" in output
        left = f"learns left early (SIGTERM): checkpoint-{reached} stands, nothing is lost; the sam"
    else:
        left = f"learns left early (SIGTERM): checkpoint-{saved[-1]} stands, "
    assert left in output
    assert all(step % 4 == 0 for step in saved) and at_work_in(tmp_path) == []
    again = driver("stages.learns.args.max_steps=64", f"launch.grace={grace}", SLOW)
    wait_for(lambda: steps(tmp_path) > saved[-1] + 1, 120)
    again.send_signal(signal.SIGTERM)
    again.communicate(timeout=120)
    rows = (stage_of(tmp_path) / "metrics.jsonl").read_text().splitlines()
    logged = [json.loads(row)["step"] for row in rows if '"loss"' in row]
    assert logged == list(range(1, len(logged) + 1))


@pytest.mark.long
def test_a_killed_driver_under_accelerate_leaves_no_trainers(
    driver: Driver, tmp_path: Path
) -> None:
    started = driver("launch=cpu2", SLOW)
    wait_for(lambda: steps(tmp_path) >= 5, 240)
    started.kill()
    started.communicate()
    trainers = set(at_work_in(tmp_path))
    assert len(trainers) > 2
    second = driver("launch=cpu2", SLOW)
    output = ""
    if second.poll() is None:
        wait_for(lambda: second.poll() is not None or not trainers & set(at_work_in(tmp_path)), 90)
    if second.poll() is not None:  # refused: they were still leaving
        output, _ = second.communicate()
        assert second.returncode == 2 and "workers of an earlier r1trl are still at work" in output
        wait_for(lambda: not at_work_in(tmp_path), 90)
        second = driver("launch=cpu2", SLOW)
    wait_for(lambda: steps(tmp_path) > checkpoints(tmp_path)[-1] + 1, 240)
    second.send_signal(signal.SIGUSR1)
    output, _ = second.communicate(timeout=120)
    assert second.returncode == 3, output
    assert "left early (SIGUSR1): checkpoint-" in output and at_work_in(tmp_path) == []
    assert checkpoints(tmp_path)[-1] == steps(tmp_path)


@pytest.mark.long
@pytest.mark.parametrize(
    ("number", "said"),
    [
        (signal.SIGSTOP, "is stopped: it gave no sign of life for "),
        (signal.SIGKILL, "was killed by SIGKILL, as the kernel does when memory runs out"),
    ],
)
def test_a_rank_of_two_that_stops_is_named(
    number: int, said: str, driver: Driver, tmp_path: Path
) -> None:
    started = driver("launch=cpu2", SLOW, "watchdog.seconds=15")
    wait_for(lambda: steps(tmp_path) >= 2, 240)
    beat = json.loads((stage_of(tmp_path) / "ranks" / "1.json").read_text())
    pid, host = beat["process"]["pid"], beat["process"]["host"]
    os.kill(pid, number)
    output, _ = started.communicate(timeout=60)
    assert started.returncode == 1, output
    assert f"stage learns failed: rank 1 ({host}, pid {pid}) {said}" in output
    assert at_work_in(tmp_path) == []
    if number == signal.SIGSTOP:
        assert "transformers/trainer.py" in (stage_of(tmp_path) / "ranks" / "0.stack").read_text()
