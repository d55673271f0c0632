"""What best_checkpoint and average_checkpoints read is there at the end, or missed in the plan."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import r1trl_handover
from one_step import OneStep

from r1trl import StageResult
from r1trl.errors import StageError

OFFERS = r1trl_handover.r1trl_transitions()
BestCheckpoint, AverageCheckpoints = OFFERS["best_checkpoint"], OFFERS["average_checkpoints"]
SAVED = {"save_strategy": "steps", "save_steps": 1, "save_total_limit": 1}


@pytest.fixture
def stage(tiny_model: Path, tmp_path: Path) -> OneStep:
    """Return stages of kind sft."""
    return OneStep("sft", tiny_model, tmp_path)


def steps_left(stage: OneStep) -> list[int]:
    """Return the steps of the checkpoints of the last stage."""
    return sorted(int(p.name[11:]) for p in stage.last.glob("checkpoints/checkpoint-*"))


def result(stage: OneStep) -> StageResult:
    """Return the result of the last stage."""
    return StageResult("x", "sft", stage.last, stage.last / "model")


def loads(folder: Path) -> bool:
    """Return True if plain transformers loads a model's folder without missing weights."""
    from transformers import AutoModelForCausalLM

    _, report = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    return not report["missing_keys"] and not report["unexpected_keys"]


@pytest.mark.slow
def test_the_last_checkpoints_are_there_to_be_averaged_whatever_the_limit(stage: OneStep) -> None:
    average = AverageCheckpoints(last=3)
    stage.train({**SAVED, "max_steps": 5}, transitions={"stages.x.transitions.a": average})
    assert steps_left(stage) == [3, 4, 5]
    before = stage.weights()
    assert average(result(stage)).metrics == {"average_from": 3, "average_to": 5}
    assert stage.weights() != before and loads(stage.last / "model")


@pytest.mark.slow
def test_the_best_checkpoint_outlives_the_limit_and_a_continued_stage(stage: OneStep) -> None:
    best = BestCheckpoint(metric="loss", mode="min")
    transitions = {"stages.x.transitions.best_checkpoint": best}
    args = {**SAVED, "learning_rate": 0.05, "lr_scheduler_type": "constant"}
    stage.train({**args, "max_steps": 3}, transitions=transitions)
    stage.train({**args, "max_steps": 6}, transitions=transitions, again=True)
    lines = (stage.last / "metrics.jsonl").read_text().splitlines()
    losses = {row["step"]: row["loss"] for row in map(json.loads, lines) if "loss" in row}
    lowest = min(losses, key=losses.__getitem__)
    assert steps_left(stage) == sorted({lowest, 6})
    kept = (stage.last / f"checkpoints/checkpoint-{lowest}/model.safetensors").read_bytes()
    assert best(result(stage)).metrics["best_checkpoint"] == lowest
    assert stage.weights() == kept and loads(stage.last / "model")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("args", "transition", "problem"),
    [
        ({"max_steps": 2}, AverageCheckpoints(last=3), "reads 3 of .*args.save_steps=1 in 2 steps"),
        ({}, BestCheckpoint(metric="rewrad"), "no metric is called 'rewrad'"),
        (
            {"max_steps": -1, "num_train_epochs": 1, "save_strategy": "epoch"},
            AverageCheckpoints(last=2),
            "reads 2 of .*args.save_strategy=epoch in 2 steps makes 1",
        ),
    ],
)
def test_a_stage_does_not_train_to_its_end_for_nothing(
    args: Mapping[str, Any], transition: Any, problem: str, stage: OneStep
) -> None:
    key = "stages.x.transitions.mine"
    with pytest.raises(StageError, match=f"^{key}: .*{problem}"):
        stage.train({**SAVED, "max_steps": 9, **args}, transitions={key: transition})
    assert len(steps_left(stage)) <= 4 and not (stage.last / "model").exists()


@pytest.mark.parametrize(
    ("transitions", "args", "problems"),
    [
        ({"average_checkpoints": {}}, {"save_strategy": "steps", "save_steps": 2}, []),
        ({"average_checkpoints": {}}, {"save_strategy": "steps", "save_steps": 0.3}, []),
        (
            {"average_checkpoints": {}},
            {"save_strategy": "steps", "save_steps": 4},
            ["average_checkpoints: reads 3 of the stage's checkpoints, and args.save_steps=4 in "
             "args.max_steps=6 makes 2"],
        ),
        (
            {"average_checkpoints": {"last": 2}, "best_checkpoint": {}},
            {},
            ["average_checkpoints: reads 2 of the stage's checkpoints, and args.save_strategy=no "
             "in args.max_steps=6 makes none",
             "best_checkpoint: reads 1 of the stage's checkpoints, and args.save_strategy=no in "
             "args.max_steps=6 makes none"],
        ),
        (
            {"average_checkpoints": {"last": 4}},
            {"save_strategy": "epoch", "max_steps": -1, "num_train_epochs": 2.5},
            ["average_checkpoints: reads 4 of the stage's checkpoints, and "
             "args.save_strategy=epoch in args.num_train_epochs=2.5 makes 3"],
        ),
        ({"average_checkpoints": {}}, {"save_strategy": "steps", "max_steps": -1}, []),
        (
            {"average_checkpoints": {"last": 1}, "threshold": {}},
            {"save_strategy": "steps", "save_steps": 1},
            ["average_checkpoints: last must be 2 checkpoints or more, not 1",
             "threshold: a threshold on 'reward' needs a bound: above or below"],
        ),
    ],
)  # fmt: skip
def test_the_plan_knows_how_many_checkpoints_a_stage_makes(
    transitions: Any, args: Mapping[str, Any], problems: list[str], stage: OneStep
) -> None:
    planned = replace(stage.stage({"max_steps": 6, **args}), transitions=transitions)
    found = stage.problems_of(planned)
    assert found == [f"stages.x.transitions.{problem}" for problem in problems]
