"""Weights & Biases, TensorBoard and trackio: their own files, read back; what the plan finds."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from machine import require
from r1trl_trackers.wandb_key import missing_key
from wandb_files import WandbRun, wandb_runs

from r1trl import StageResult, TrackedInput, TrackedOutput, TrackedStage
from r1trl.config.checked import Composed
from r1trl.config.kinds import load_plugins
from r1trl.errors import ConfigError
from r1trl.plan.plan import make_plan

READ = TrackedInput("stage:first", "a digest", "first", "run-first-1")
ROWS = [{"step": 1, "prompt": "1 + 1", "completion": "2", "reward": 1.0, "ids": [1, 2]}]
BOARD = {"zero/held_out/pass@1": 0.5, "zero/held_out/tokens": 7.0, "base/held_out/pass@1": 0.25}


def stage_in(folder: Path, **more: Any) -> TrackedStage:
    """Return a stage that has begun after 100 steps of others."""
    config = {"recipe": "zero", "overrides": ["seed=2"], "commit": "c0ffee", "inputs": ["a"]}
    own = {"code": {"mine.py": "print(1)\n"}, "first_step": 100, "scores": False, **more}
    folder.mkdir(parents=True, exist_ok=True)
    return TrackedStage("zero", "grpo", folder, {}, "run", config, [READ], **own)


def track(name: str, folder: Path, options: dict[str, Any], *attempts: range) -> None:
    """Let a tracker show attempts at a stage, the last of which has a result."""
    stage, last = stage_in(folder), attempts[-1]
    for steps in attempts:
        time.sleep(1 - time.time() % 1)  # W&B's folders have the second in their names
        tracker: Any = load_plugins().find("tracker", name).bind(options)
        tracker.start(stage, "run-zero-1", steps is not attempts[0])
        for step in steps:
            tracker.metrics(step, {"step": step, "seconds": 1.5, "loss": step / 8, "kl": None})
            tracker.completions(step, [{**row, "step": step} for row in ROWS])
        if steps is not last:
            tracker.alert("stage zero failed: " + "x" * 70, "as asked", "error")
            tracker.finish(None, {})
    model = folder / "model"
    model.mkdir()
    (model / "weights.txt").write_text("0.5")
    result = StageResult("zero", "grpo", folder, model, metrics={"loss": 0.625})
    tracker.finish(result, {"model": TrackedOutput(model, "of the model")})


def of(run: WandbRun, name: str) -> list[tuple[Any, Any]]:
    """Return the steps and the values of what was logged."""
    return [(row["step"], row[name]) for row in run.history if name in row]


@pytest.mark.slow
def test_wandb_has_one_run_across_a_stop_with_tables_artifacts_and_alerts(tmp_path: Path) -> None:
    options = {"mode": "offline", "project": "mine", "tags": ["t"], "notes": "n", "upload": True}
    track("wandb", tmp_path / "zero", options, range(1, 4), range(3, 6))
    first, second = wandb_runs(tmp_path / "zero")
    for attempt in (first, second):
        run = attempt.run
        assert (run.run_id, run.project, run.run_group) == ("run-zero-1", "mine", "run")
        assert (run.job_type, run.display_name, run.notes) == ("grpo", "run/zero", "n")
        assert list(run.tags) == ["t", "zero", "grpo"]
        assert {k: attempt.config[k] for k in ("recipe", "overrides", "commit")} == {
            "recipe": "zero",
            "overrides": ["seed=2"],
            "commit": "c0ffee",
        }
        axes = {m.glob_name or m.name: m.step_metric for m in attempt.by_type["metric"]}
        assert axes == {"step": "", "run_step": "", "*": "run_step"}
    together = [*of(first, "loss"), *of(second, "loss")]
    assert together == [(1, 0.125), (2, 0.25), (3, 0.375), (3, 0.375), (4, 0.5), (5, 0.625)]
    assert [row["run_step"] for row in second.history if "loss" in row] == [103, 104, 105]
    tables = [second.table(value) for _, value in of(second, "completions")]
    assert tables == [[{**ROWS[0], "step": step, "ids": "[1, 2]"}] for step in (3, 4, 5)]
    (alert,) = first.by_type["alert"]
    assert alert.text == "as asked" and len(alert.title) < 64 and alert.level == "ERROR"
    assert [r.exit_code for r in (*first.by_type["exit"], *second.by_type["exit"])] == [1, 0]
    (model,) = [each for each in second.artifacts if each.type == "model"]
    made = json.loads(model.metadata)
    assert (model.name, made["digest"]) == ("run-zero", "of the model")
    assert made["inputs"] == [{**vars(READ)}]
    assert set(model.aliases) == {"latest", "run-zero-1"}
    assert {entry.path for entry in model.manifest.contents} == {"made.json", "model/weights.txt"}
    (code,) = [each for each in second.artifacts if each.type == "code"]
    assert [entry.path for entry in code.manifest.contents] == ["mine.py"]


@pytest.mark.slow
def test_wandb_that_is_not_reached_is_logged_offline_and_says_so(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib\n"
        "from test_trackers import stage_in\n"
        "from r1trl.config.kinds import load_plugins\n"
        "tracker = load_plugins().find('tracker', 'wandb').bind({'patience': 1.0})\n"
        "print('said:', tracker.start(stage_in(pathlib.Path(sys.argv[1])), 'run-zero-1', False))\n"
        "tracker.metrics(1, {'step': 1, 'loss': 0.5})\n"
        "tracker.finish(None, {})\n"
    )
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path]),
        "WANDB_BASE_URL": "http://127.0.0.1:9",
        "WANDB_API_KEY": "0" * 40,
    }
    del environment["WANDB_MODE"]
    command = [sys.executable, "-c", code, str(tmp_path / "zero")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "logged offline, for wandb sync" in done.stdout.partition("said:")[2]
    (offline,) = (tmp_path / "zero").glob("wandb/offline-run-*/*.wandb")
    assert of(WandbRun(offline), "loss") == [(1, 0.5)]


@pytest.mark.slow
def test_the_scoreboard_and_rollouts_are_tables(tmp_path: Path) -> None:
    tracker: Any = load_plugins().find("tracker", "wandb").bind({"mode": "offline"})
    stage = replace(stage_in(tmp_path / "board"), name="board", kind="evaluate", scores=True)
    tracker.start(stage, "run-board-1", False)
    tracker.completions(None, ROWS)
    tracker.finish(StageResult("board", "evaluate", stage.folder, metrics=BOARD), {})
    (run,) = wandb_runs(stage.folder)
    logged = {name: value for row in run.history for name, value in row.items()}
    assert run.table(logged["scoreboard"]) == [
        {"model": "zero", "benchmark": "held_out", "pass@1": 0.5, "tokens": 7.0},
        {"model": "base", "benchmark": "held_out", "pass@1": 0.25, "tokens": None},
    ]
    assert [row["completion"] for row in run.table(logged["rollouts"])] == ["2"]


@pytest.mark.slow
def test_tensorboard_has_all_steps_texts_and_results(tmp_path: Path) -> None:
    require("tensorboard", find_spec("tensorboard"), "pip install 'r1trl[tensorboard]'")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    track("tensorboard", tmp_path / "zero", {}, range(1, 4), range(3, 6))
    read = EventAccumulator(str(tmp_path / "zero" / "tensorboard"), {"tensors": 0}).Reload()
    loss = [(each.step, each.value) for each in read.Scalars("loss")]
    assert loss == [(1, 0.125), (2, 0.25), (3, 0.375), (3, 0.375), (4, 0.5), (5, 0.625)]
    assert [each.value for each in read.Scalars("run_step")] == [101, 102, 103, 103, 104, 105]
    assert [each.value for each in read.Scalars("result/loss")] == [0.625]
    texts = {
        name: [each.tensor_proto.string_val[0].decode() for each in read.Tensors(name)]
        for name in read.Tags()["tensors"]
    }
    assert len(texts["completions/text_summary"]) == 6
    assert "| 1 | 1 + 1 | 2 | 1 | [1, 2] |" in texts["completions/text_summary"][0]
    assert "as asked" in texts["alerts/text_summary"][0]
    assert '"commit": "c0ffee"' in texts["config/text_summary"][0]


@pytest.mark.slow
@pytest.mark.long
def test_trackio_has_one_run_across_a_stop(tmp_path: Path) -> None:
    require("trackio", find_spec("trackio"), "pip install 'r1trl[trackio]'")
    code = (
        "import sys, pathlib, json\n"
        "from test_trackers import track\n"
        "folder = pathlib.Path(sys.argv[1]) / 'zero'\n"
        "track('trackio', folder, {'project': 'mine'}, range(1, 4), range(3, 6))\n"
        "from trackio.sqlite_storage import SQLiteStorage as Stored\n"
        "runs, name = Stored.get_runs('mine'), 'run-zero-1'\n"
        "found = [Stored.get_logs('mine', name), Stored.get_run_config('mine', name)]\n"
        "print('read:', json.dumps([runs, *found, Stored.get_alerts('mine')], default=str))\n"
    )
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path]),
        "TRACKIO_DIR": str(tmp_path / "trackio"),
    }
    command = [sys.executable, "-W", "ignore", "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    runs, logs, config, alerts = json.loads(done.stdout.partition("read:")[2].splitlines()[0])
    assert runs == ["run-zero-1"]
    loss = [(row["step"], row["loss"], row["run_step"]) for row in logs if "loss" in row]
    steps = [1, 2, 3, 3, 4, 5]
    assert loss == [(step, step / 8, 100 + step) for step in steps]
    assert len([row for row in logs if "completions" in row]) == 6
    assert config["commit"] == "c0ffee"
    assert [alert["text"] for alert in alerts] == ["as asked"]


def problems_of(composed: Callable[..., Composed], *overrides: str) -> list[str]:
    """Return what the plan finds wrong with overrides."""
    with pytest.raises(ConfigError) as caught:
        make_plan(composed("recipe=zero", "scale=tiny", *overrides))
    return caught.value.problems


def test_the_plan_names_what_is_wrong_with_trackers(composed: Callable[..., Composed]) -> None:
    chosen = "trackers={wandbb: {}, tensorboard: {flush_sec: 3}, trackio: 7}"
    problems = problems_of(composed, chosen, "wandb.project=mine")
    assert sorted(problems) == [
        "trackers.tensorboard: tracker 'tensorboard' has no option 'flush_sec' (did you mean "
        "'flush_secs'?); its options: flush_secs",
        "trackers.trackio: must be a mapping of options, such as {}",
        "trackers: no tracker is called 'wandbb' (did you mean 'wandb'?); there are: tensorboard, "
        "trackio, wandb",
        "wandb.project: nothing reads it; set wandb.enabled=true, or trackers.wandb.project",
    ]


@pytest.mark.parametrize("chosen", ["wandb.enabled=true", "trackers.wandb={}"])
def test_the_plan_finds_that_there_is_no_key(
    chosen: str,
    composed: Callable[..., Composed],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    (problem,) = problems_of(composed, chosen)
    key = chosen.partition(".enabled")[0].partition("=")[0]
    assert problem.startswith(f"{key}: no key for api.wandb.ai is here: wandb login, ")
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password 0123456789\n")
    assert missing_key() is None
    (tmp_path / "netrc").unlink()
    assert missing_key() and missing_key(mode="offline") is None
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    assert missing_key() is None


def test_a_package_that_is_missing_is_found_with_its_extra(
    composed: Callable[..., Composed], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("tensorboard", "trackio"):
        monkeypatch.setitem(sys.modules, name, None)  # as Python has what is not there
    assert problems_of(composed, "trackers={tensorboard: {}, trackio: {}}") == [
        f"trackers.{name}: needs the package {name}, which is not installed: "
        f"pip install 'r1trl[{name}]'"
        for name in ("tensorboard", "trackio")
    ]


def test_what_is_short_for_wandb_counts_less_than_its_own_options(
    composed: Callable[..., Composed],
) -> None:
    short = "wandb={enabled: true, mode: offline, project: a, completions: 3}"
    own = "trackers={wandb: {project: b}, trackio: null}"
    plan = make_plan(composed("recipe=zero", "scale=tiny", short, own))
    spec = plan.stages[0].spec
    assert spec.trackers == {"wandb": {"project": "b", "mode": "offline"}}
    assert spec.completions == 3
    assert spec.about["recipe"] == "zero" and "scale=tiny" in spec.about["overrides"]
    assert plan.stages[1].spec.about["before"] == ["zero_first"]
