"""Stages that are evaluated while they train, as they are run: what the page says, and ranks."""

import json
import re
import shlex
from pathlib import Path

import pytest
from stage_runs import Run

from r1trl.config.compose import compose
from r1trl.plan.plan import make_plan
from r1trl.types import EVALUATED

PAGE = Path(__file__).parents[2] / "docs" / "EVALUATION.md"
COMMANDS = re.findall(r"^r1trl run (.*)$", PAGE.read_text(encoding="utf-8"), re.M)
RECIPE = """
# @package _global_
defaults: [/stage@stages.learn: grpo]
stages:
  learn:
    template: ${template.zero}
    checkpoints: keep
    data: {problems: {}}
    rewards: {accuracy: {answer: answer_tag}, think_format: {profile: think_answer}}
    rollout: {outputs: 16, minibatches: 1}
    evaluate: {every: 2, rows: 9, max_share: 1, sampling: {max_tokens: 16, n: 2}}
    transitions: {best_checkpoint: {metric: eval/held_out/pass@1}, equal_rewards: null}
    args:
      num_generations: 4
      per_device_train_batch_size: 4
      max_completion_length: 16
      max_steps: 4
      save_steps: 2
"""


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_of_the_page_plan(command: str) -> None:
    assert make_plan(compose([*shlex.split(command), "name=test"], None)).stages
    assert len(COMMANDS) == 2


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("launch", ["local", "cpu2", "cpu2-zero3"])
def test_the_best_checkpoint_is_chosen_by_held_out_rows(launch: str, tmp_path: Path) -> None:
    """Each of two processes answers a part of the rows; all of them count in the interval."""
    run = Run(tmp_path, RECIPE, f"launch={launch}")
    assert run.carry_out() == 0, run.log("learn")
    rows = (run.stages / "learn" / "metrics.jsonl").read_text().splitlines()
    found = [row for row in map(json.loads, rows) if EVALUATED in row]
    assert [row["step"] for row in found] == [0, 2, 4]
    at = {row["step"]: row["eval/held_out/pass@1"] for row in found}
    assert all(round(value * 18) == pytest.approx(value * 18) for value in at.values())
    result = json.loads((run.stages / "learn" / "result.json").read_text())
    assert result["metrics"]["best_checkpoint"] == (2 if at[2] >= at[4] else 4)
    assert "step 4: pass@1 on held_out" in run.log("learn")
