"""Trackers of real runs, killed and continued: W&B's and TensorBoard's own files, read back."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from recorder import PLUGIN
from stage_runs import FEW_STEPS, Run
from wandb_files import wandb_runs

from r1trl.stage.times import without_times

pytestmark = pytest.mark.slow
PAGE = (Path(__file__).parents[2] / "docs" / "TRACKING.md").read_text(encoding="utf-8")
SMALL = (
    *FEW_STEPS,
    "scale.zero.steps=2",
)
ONE_STAGE = ("~stages.zero", "~stages.scoreboard")
OFFLINE = "trackers.wandb={mode: offline}"
ZERO = "# @package _global_\ndefaults: [zero]\n"


def tracked_rows(run: Run, stage: str) -> list[dict[str, Any]]:
    """Return the rows of metrics that all attempts at a stage have logged to W&B, in order."""
    history = [row for attempt in wandb_runs(run.stages / stage) for row in attempt.history]
    return [row for row in history if "seconds" in row]


def assert_equal_together(run: Run, stage: str) -> None:
    """Assert that W&B has every row of metrics.jsonl, and nothing else but its repetitions."""
    wanted = [json.loads(line) for line in (run.stages / stage / "metrics.jsonl").open()]
    wanted = [{n: v for n, v in row.items() if v is not None} for row in wanted]
    by_form: dict[tuple[int, bool, bool], dict[str, Any]] = {}
    for row in tracked_rows(run, stage):
        values = without_times({n: v for n, v in row.items() if n[0] != "_" and n != "run_step"})
        form = (values["step"], "loss" in values, "train_loss" in values)
        assert by_form.setdefault(form, values) == pytest.approx(values)
    for row in map(without_times, wanted):
        assert by_form[row["step"], "loss" in row, "train_loss" in row] == pytest.approx(row)


@pytest.mark.long
def test_a_killed_stage_is_one_wandb_run_with_every_step(tmp_path: Path) -> None:
    run = Run(tmp_path, ZERO, *SMALL, *ONE_STAGE, OFFLINE)
    run.carry_out_killed("zero_first", 4)
    attempts = wandb_runs(run.stages / "zero_first")
    known = json.loads((run.stages / "zero_first" / "tracking.json").read_text())
    assert {each.run.run_id for each in attempts if "run" in each.by_type} == {known["run_id"]}
    assert len(attempts) == 2
    assert_equal_together(run, "zero_first")
    steps = [row["step"] for row in tracked_rows(run, "zero_first") if "loss" in row]
    assert sorted(set(steps)) == [1, 2, 3, 4]  # of some there may be two, of none less than one
    tables = [
        attempt.table(row["completions"])
        for attempt in attempts
        for row in attempt.history
        if "completions" in row
    ]
    shown = {(row["step"], row["completion"]) for table in tables for row in table}
    lines = (run.stages / "zero_first" / "completions.jsonl").read_text().splitlines()
    assert shown == {(row["step"], row["completion"]) for row in map(json.loads, lines)}
    assert len({row["step"] for row in map(json.loads, lines)}) == 2  # a rollout in two steps


@pytest.mark.long
def test_every_stage_is_a_wandb_run_and_its_model_the_same_as_without(tmp_path: Path) -> None:
    plain = Run(tmp_path / "plain", ZERO, *SMALL)
    lost = f"{{path: {tmp_path}/told, at: start}}"
    chosen = f"trackers={{wandb: {{mode: offline}}, tensorboard: {{}}, second: {lost}}}"
    recorder = tmp_path / "recorder.py"
    recorder.write_text(PLUGIN)
    run = Run(tmp_path / "run", ZERO, *SMALL, chosen, f"plugins.load=[{recorder}]")
    assert plain.carry_out() == 0 and run.carry_out() == 0
    stages = ("zero_first", "zero", "scoreboard")
    found = {stage: wandb_runs(run.stages / stage) for stage in stages}
    assert all(len(attempts) == 1 for attempts in found.values())
    assert len({attempts[0].run.run_id for attempts in found.values()}) == 3
    for stage in ("zero_first", "zero"):
        assert run.weights(stage) == plain.weights(stage)
        assert_equal_together(run, stage)
        assert run.log(stage).count("trackers.second: is lost (") == 1
    steps = [row["run_step"] for row in tracked_rows(run, "zero") if "loss" in row]
    assert steps == [5, 6]  # after the four of the first stage
    (model,) = [a for a in found["zero_first"][0].artifacts if a.type == "model"]
    (read,) = [i for i in found["zero"][0].config["inputs"] if i["name"] == "stage:zero_first"]
    assert read["run_id"] in model.aliases and json.loads(model.metadata)["digest"]
    (board,) = found["scoreboard"]
    logged = {name: value for row in board.history for name, value in row.items()}
    metrics = json.loads((run.stages / "scoreboard" / "result.json").read_text())["metrics"]
    for row in board.table(logged["scoreboard"]):
        name = f"{row['model']}/{row['benchmark']}"
        assert row["pass@1"] == pytest.approx(metrics[f"{name}/pass@1"])
    assert len(board.table(logged["rollouts"])) == 500
    events = list(run.stages.glob("*/tensorboard/events*"))
    assert len(events) == 3


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
