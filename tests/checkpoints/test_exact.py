"""A stage that was killed and continued is a stage that never was: weights, rows, counts."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from one_step import OneStep

from r1trl.checkpoints.marks import marked_steps
from r1trl.errors import StageError
from r1trl.stage.times import without_times
from r1trl.training import trainer as training

pytestmark = pytest.mark.slow

ARGS = {
    "save_strategy": "steps",
    "save_steps": 2,
    "save_total_limit": 1,
    "max_steps": 9,
    "per_device_train_batch_size": 2,
    "logging_steps": 3,  # checkpoints lie within the windows of logging
}
DRAWN = {**ARGS, "per_device_train_batch_size": 4}  # an epoch has four steps
MOVING = {"beta": 0.1, "sync_ref_model": True, "ref_model_sync_steps": 2}
ADAPTIVE = {"use_adaptive_entropy": True, "entropy_target": 0.1, "entropy_coef_delta": 0.01}
STAGES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "sft": ("sft", ARGS),
    "sft by length": ("sft", {**ARGS, "train_sampling_strategy": "group_by_length"}),
    "sft by epoch": (
        "sft",
        {
            **ARGS,
            "save_strategy": "epoch",
            "logging_strategy": "epoch",
            "max_steps": -1,
            "num_train_epochs": 3,
        },
    ),
    "grpo": ("grpo", {**DRAWN, **MOVING, **ADAPTIVE, "ref_model_mixup_alpha": 0.6}),
    "rloo": ("rloo", {**DRAWN, "save_steps": 1}),
    "pairwise": ("pairwise", ARGS),
    "dpo": ("dpo", {**ARGS, "sync_ref_model": True, "ref_model_sync_steps": 3}),
}


class Killed(Exception):  # noqa: N818 - it stands for a signal that nothing survives
    """The end of a process."""


@pytest.fixture
def kill_at(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that lets the next training end at a step; 0: at none."""
    steps = [0]

    class Metrics(training.Metrics):
        """Metrics of a training that is killed."""

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            """End it at the step, before that is logged or saved."""
            if state.global_step == steps[0]:
                raise Killed

    monkeypatch.setattr(training, "Metrics", Metrics)
    return lambda step: steps.__setitem__(0, step)


def records(folder: Path) -> dict[str, Any]:
    """Return what a stage has recorded, without times."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    found: dict[str, Any] = {"metrics": [without_times(json.loads(line)) for line in lines]}
    if (folder / "scoring.json").exists():
        scoring = json.loads((folder / "scoring.json").read_text())
        found["scoring"] = {name: stats["outcomes"] for name, stats in scoring.items()}
        found["completions"] = (folder / "completions.jsonl").read_text()
    return found


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_killed_twice_is_equal_to_one_that_was_not(
    name: str, kill_at: Any, tiny_model: Path, tmp_path: Path
) -> None:
    kind, args = STAGES[name]
    stage = OneStep(kind, tiny_model, tmp_path)
    last = stage.train(args)
    whole, weights = records(stage.last), stage.weights()
    assert len(whole["metrics"]) > 2
    for again, step in enumerate((3, 7)):
        kill_at(step)
        with pytest.raises(Killed):
            stage.train(args, again=bool(again))
    kill_at(0)
    assert without_times(stage.train(args, again=True)) == without_times(last)
    assert records(stage.last) == whole and stage.weights() == weights


def test_a_stage_whose_last_step_is_made_is_only_loaded(
    kill_at: Any, tiny_model: Path, tmp_path: Path
) -> None:
    stage = OneStep("sft", tiny_model, tmp_path)
    args = {**ARGS, "max_steps": 5}
    last = stage.train(args)
    whole, weights = records(stage.last), stage.weights()
    (stage.last / "model" / "model.safetensors").unlink()
    kill_at(6)
    assert without_times(stage.train(args, again=True)) == without_times(last)
    assert records(stage.last) == whole and stage.weights() == weights
    assert marked_steps(stage.last / "checkpoints") == [5]


class StopAt:
    """A transition that ends its stage at a step, once it is asked."""

    def __init__(self, step: int) -> None:
        self.step, self.asked = step, 0

    def should_stop(self, progress: Any) -> str | None:
        """Return a reason at the step."""
        self.asked += 1
        return "enough" if progress.step == self.step else None


def test_a_stage_that_ended_early_is_saved_and_trains_no_more(
    kill_at: Any, tiny_model: Path, tmp_path: Path
) -> None:
    stage, enough = OneStep("sft", tiny_model, tmp_path), StopAt(3)
    transitions = {"stages.x.transitions.enough": enough}
    stage.train(ARGS, transitions=transitions)
    assert marked_steps(stage.last / "checkpoints") == [3]
    asked, weights = enough.asked, stage.weights()
    kill_at(4)
    stage.train(ARGS, transitions=transitions, again=True)
    assert stage.weights() == weights and enough.asked == asked


def test_a_damaged_checkpoint_is_trained_again_from_the_one_before(
    tiny_model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    stage = OneStep("sft", tiny_model, tmp_path)
    args = {**ARGS, "save_total_limit": 2}
    stage.train(args)
    weights = stage.weights()
    (stage.last / "checkpoints" / "checkpoint-9" / "optimizer.pt").unlink()
    stage.train(args, again=True)
    assert "checkpoint-9 is damaged (optimizer.pt is missing)" in capfd.readouterr().out
    assert stage.weights() == weights
    assert marked_steps(stage.last / "checkpoints") == [8, 9]


def test_a_model_is_there_whole_or_not_at_all(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(model: Any, folder: Any, **_: Any) -> None:
        (Path(folder) / "config.json").write_text("{}")
        raise StageError("no room")

    stage = OneStep("sft", tiny_model, tmp_path)
    monkeypatch.setattr("transformers.PreTrainedModel.save_pretrained", fail)
    with pytest.raises(StageError, match="no room"):
        stage.train({**ARGS, "save_strategy": "no"})
    assert not (stage.last / "model").exists()
