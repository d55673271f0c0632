"""Stages of kind dpo: they learn the preference, and a kill changes nothing."""

from importlib.util import find_spec
from pathlib import Path

import pytest
from machine import require
from stage_runs import Run

from r1trl.errors import ConfigError

RECIPE = """# @package _global_
defaults:
  - /stage@stages.pairs: dpo
  - _self_
stages:
  pairs:
    data:
      preferences: {}
    args:
      max_steps: 5
      save_strategy: steps
      save_steps: 3
"""
SMALL = (
    "model=tiny-student",
    "sources.preferences.options.count=16",  # two steps per epoch
    "scale.reward_model.batch=8",
    "scale.reward_model.micro_batch=4",
    "stages.pairs.args.learning_rate=5e-4",
)
SYNCED = (
    "stages.pairs.args.sync_ref_model=true",
    "stages.pairs.args.ref_model_sync_steps=2",
    "stages.pairs.args.ref_model_mixup_alpha=0.5",
)


def test_the_plan_needs_a_model_and_data_and_takes_no_rewards(tmp_path: Path) -> None:
    run = Run(tmp_path, RECIPE, "stages.pairs.rewards.accuracy={answer: answer_tag}")
    wrong = ("~stages.pairs.data.preferences", "stages.pairs.model=null")
    with pytest.raises(ConfigError) as caught:
        run.plan(*wrong, "stages.pairs.args.betta=1")
    assert caught.value.problems == [
        "stages.pairs.model: must be given: a folder, a Hub id or stage:<name>",
        "stages.pairs.data: must name at least one source",
        "stages.pairs.rewards: score held-out rows alone, and there are none; set evaluate.every",
        "stages.pairs.args: DPOConfig has no 'betta' (did you mean 'beta'?)",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("reference", [(), pytest.param(SYNCED, marks=pytest.mark.long)])
def test_it_learns_the_preference_and_a_killed_run_ends_with_the_same_weights(
    reference: tuple[str, ...], tmp_path: Path
) -> None:
    overrides = (*SMALL, *reference)
    whole = Run(tmp_path / "whole", RECIPE, *overrides)
    assert whole.carry_out() == 0, whole.log("pairs")
    metrics = whole.metrics("pairs")
    assert metrics[0]["rewards/margins"] == pytest.approx(0, abs=1e-6), "the reference is the model"
    killed = Run(tmp_path / "killed", RECIPE, *overrides)
    killed.carry_out_killed("pairs", 4)
    names = ("loss", "rewards/margins", "rewards/accuracies", "learning_rate", "grad_norm")
    for row, again in zip(metrics, killed.metrics("pairs"), strict=True):
        assert {name: row[name] for name in names} == {name: again[name] for name in names}
    assert killed.weights("pairs") == whole.weights("pairs")
    if not reference:
        assert metrics[-1]["rewards/margins"] > 0.2
        assert metrics[-1]["loss"] < 0.9 * metrics[0]["loss"]


@pytest.mark.slow
def test_an_adapter_is_trained_against_the_model_without_it(tmp_path: Path) -> None:
    require("peft", find_spec("peft"))
    run = Run(
        tmp_path,
        RECIPE,
        *(*SMALL, "stages.pairs.args.max_steps=3", "stages.pairs.args.learning_rate=3e-3"),
        *("stages.pairs.adapter={rank: 4}", "stages.pairs.transitions.merge_adapter={}"),
    )
    assert run.carry_out() == 0, run.log("pairs")
    metrics = run.metrics("pairs")
    assert metrics[0]["rewards/margins"] == pytest.approx(0, abs=1e-6)
    assert metrics[-1]["rewards/margins"] > 0.1


@pytest.mark.slow
def test_rows_without_rejected_responses_are_refused_in_a_sentence(tmp_path: Path) -> None:
    problems = ("~stages.pairs.data.preferences", "+stages.pairs.data.problems={}")
    run = Run(tmp_path, RECIPE, *problems, *SMALL)
    assert run.carry_out() == 1
    assert "error: stages.pairs.data: the rows have no column 'chosen'" in run.log("pairs")
