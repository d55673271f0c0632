"""Metrics and completions of a training stage, without a model."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from r1trl.errors import StageError
from r1trl.rewards.outcomes import Scores
from r1trl.tracking.tracking import Tracking
from r1trl.training.callbacks import Completions, Metrics, completion_rows
from r1trl.training.rollouts import Rollout

pytestmark = pytest.mark.slow  # imports torch and TRL


@pytest.fixture
def tracking() -> Tracking:
    """Return what tells nobody."""
    return Tracking()


def state(step: int) -> SimpleNamespace:
    """Return a trainer's state at a step of rank 0."""
    return SimpleNamespace(global_step=step, max_steps=10, is_world_process_zero=True)


def control() -> SimpleNamespace:
    """Return a trainer's control."""
    return SimpleNamespace(should_training_stop=False, should_save=False)


def rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a JSON-lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_logging_step_is_one_row_of_finite_numbers(tmp_path: Path, tracking: Tracking) -> None:
    metrics = Metrics(tmp_path, tracking, {})
    metrics.on_train_begin(None, state(0), control())
    logs = {"loss": 0.5, "kl": float("nan"), "note": "text"}
    metrics.on_log(None, state(1), control(), logs)
    (row,) = rows(tmp_path / "metrics.jsonl")
    assert row.pop("seconds") >= 0
    assert row == {"step": 1, "loss": 0.5, "kl": None}


def test_a_resumed_stage_drops_the_rows_after_its_checkpoint(
    tmp_path: Path, tracking: Tracking
) -> None:
    path = tmp_path / "metrics.jsonl"
    lines = [json.dumps({"step": step, "seconds": 10.0 * step}) for step in (1, 2, 3)]
    path.write_text("\n".join(lines) + "\n")
    metrics = Metrics(tmp_path, tracking, {})
    metrics.on_train_begin(None, state(2), control())
    metrics.on_log(None, state(3), control(), {"loss": 0.5})
    written = rows(path)
    assert [row["step"] for row in written] == [1, 2, 3]
    assert written[2]["seconds"] >= 20 and written == metrics.history


def test_the_first_reason_of_a_transition_ends_the_stage(
    tmp_path: Path, tracking: Tracking
) -> None:
    should_stop = {
        "stages.zero.transitions.never": lambda progress: None,
        "stages.zero.transitions.plateau": lambda p: "no gain" if p.latest["loss"] < 1 else None,
    }
    metrics, first, second = Metrics(tmp_path, tracking, should_stop), control(), control()
    saving = SimpleNamespace(save_strategy="steps")
    metrics.on_log(saving, state(1), first, {"loss": 2.0})
    metrics.on_log(saving, state(2), second, {"loss": 0.5})
    assert (first.should_training_stop, second.should_training_stop) == (False, True)
    assert (first.should_save, second.should_save) == (False, True)
    assert metrics.reason == "plateau: no gain"


def test_a_transition_that_fails_is_named(tmp_path: Path, tracking: Tracking) -> None:
    key = "stages.zero.transitions.broken"
    metrics = Metrics(tmp_path, tracking, {key: lambda progress: 1 / 0})
    with pytest.raises(StageError, match=f"^{key}: ZeroDivisionError"):
        metrics.on_log(None, state(1), control(), {"loss": 0.5})


def scored_rollout() -> Rollout:
    """Return a rollout of four completions with their scores."""
    columns = {"prompt": list("pppp"), "completion": list("abcd"), "language": ["en"] * 4}
    values, outcomes = [1.0, 0.0, None, 1.0], ["value", "value", "timeout", "value"]
    scores = Scores({"right": values}, {"right": outcomes}, values, {})
    return Rollout(columns=columns, scores=scores)


def test_rows_of_completions_have_their_rewards_and_outcomes() -> None:
    assert completion_rows(scored_rollout(), 7, 9)[2] == {
        "step": 7,
        "prompt": "p",
        "completion": "c",
        "reward": None,
        "rewards/right": None,
        "outcome/right": "timeout",
    }
    few = completion_rows(scored_rollout(), 7, 2)
    assert len(few) == 2 and few == completion_rows(scored_rollout(), 7, 2)


def test_a_rollout_is_recorded_once_although_several_steps_train_on_it(
    tmp_path: Path, tracking: Tracking
) -> None:
    trainer: Any = SimpleNamespace(rollout=Rollout())
    completions = Completions(tmp_path, Tracking(4), trainer)
    completions.on_train_begin(None, state(0), control())
    completions.on_log(None, state(1), control())
    assert rows(tmp_path / "completions.jsonl") == [], "a rollout without scores is not recorded"
    trainer.rollout = scored_rollout()
    completions.on_log(None, state(2), control())
    completions.on_log(None, state(3), control())
    assert [row["step"] for row in rows(tmp_path / "completions.jsonl")] == [2] * 4
    trainer.rollout = scored_rollout()
    completions.on_log(None, state(4), control())
    assert [row["step"] for row in rows(tmp_path / "completions.jsonl")] == [2] * 4 + [4] * 4
