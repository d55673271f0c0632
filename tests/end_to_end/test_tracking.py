"""Trackers of real runs: one that is lost, and the agent of a W&B sweep."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from recorder import PLUGIN
from stage_runs import FEW_STEPS, Run
from wandb_files import wandb_runs

pytestmark = pytest.mark.slow
PAGE = (Path(__file__).parents[2] / "docs" / "TRACKING.md").read_text(encoding="utf-8")
SMALL = (*FEW_STEPS, "scale.zero.steps=2")
ONE_STAGE = ("~stages.zero", "~stages.scoreboard")
ZERO = "# @package _global_\ndefaults: [zero]\n"


@pytest.mark.long
def test_a_model_is_the_same_with_trackers_one_of_which_is_lost(tmp_path: Path) -> None:
    plain = Run(tmp_path / "plain", ZERO, *SMALL, *ONE_STAGE)
    lost = f"{{path: {tmp_path}/told, at: start}}"
    chosen = f"trackers={{wandb: {{mode: offline}}, tensorboard: {{}}, second: {lost}}}"
    recorder = tmp_path / "recorder.py"
    recorder.write_text(PLUGIN)
    loaded = f"plugins.load=[{recorder}]"
    run = Run(tmp_path / "run", ZERO, *SMALL, *ONE_STAGE, chosen, loaded)
    assert plain.carry_out() == 0 and run.carry_out() == 0
    assert run.weights("zero_first") == plain.weights("zero_first")
    assert run.log("zero_first").count("trackers.second: is lost (") == 1
    assert len(wandb_runs(run.stages / "zero_first")) == 1
    assert len(list(run.stages.glob("*/tensorboard/events*"))) == 1


@pytest.mark.long
def test_the_command_of_a_sweeps_agent_logs_to_the_run_of_the_sweep(tmp_path: Path) -> None:
    from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

    sweep = yaml.safe_load(PAGE.partition("```yaml\n")[2].partition("```")[0])
    values = {
        "stages.zero.args.learning_rate": {"value": 0.0003},
        "stages.zero.rewards.accuracy.weight": {"value": 2},
    }
    assert sweep["parameters"].keys() == values.keys()
    command = create_sweep_command(list(sweep["command"]))
    given = create_sweep_command_args({"args": values})
    words = [w for word in command for w in given.get(str(word)[2:-1], [word])]
    assert words[-2:] == [f"{name}={value['value']}" for name, value in values.items()]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    environment = {
        **os.environ,
        "WANDB_SWEEP_ID": "abcd1234",
        "WANDB_RUN_ID": "ofagent1",
        "WANDB_SWEEP_PARAM_PATH": str(tmp_path / "params.yaml"),
    }
    program = [sys.executable, "-m", "r1trl.cli", *words[1:], *SMALL, "preflight=false"]
    more = ["~stages.scoreboard", "trackers.wandb.mode=offline", "plugins.load=[]"]
    done = subprocess.run(
        [*program, *more], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    stages = tmp_path / "runs" / "sweep-ofagent1" / "stages"
    (first,), (zero,) = wandb_runs(stages / "zero_first"), wandb_runs(stages / "zero")
    assert (zero.run.run_id, zero.run.sweep_id) == ("ofagent1", "abcd1234")
    assert first.run.run_id.startswith("sweep-ofagent1-zero_first-") and not first.run.sweep_id
    assert zero.config["args"]["learning_rate"] == 0.0003
    assert zero.config["rewards"]["accuracy"]["weight"] == 2
    assert any("reward" in row for row in zero.history)
