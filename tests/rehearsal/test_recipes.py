"""Every shipped recipe is rehearsed at every scale, and a newcomer's recipe rehearsed, then run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from stand_ins import stand_ins

from r1trl.config.compose import compose
from r1trl.plan.plan import make_plan
from r1trl.rehearsal.rehearse import rehearse

pytestmark = [pytest.mark.slow, pytest.mark.long]
RECIPES = ("zero", "r1", "distill", "distill_family", "full", "dapo", "dr_grpo")
RECIPES += ("length_schedule", "search", "sensitivity", "guards", "regress", "robust")

SCALES = ("tiny", "paper", "gpu1", "gpu1-80gb", "gpu8")
# A rehearsal makes sizes small, so that GPU scales differ little from `paper`: `full` is rehearsed
# with them, which has most kinds of stages, and with R1TRL_REHEARSE=all every recipe is; so are
# those whose stages are all in another one: in `full`, and `sensitivity` in `robust`.
PARTS = ("zero", "r1", "distill", "sensitivity")
EVERY = os.environ.get("R1TRL_REHEARSE") == "all"
PAIRS = [
    (recipe, scale)
    for scale in SCALES
    for recipe in RECIPES
    if EVERY or recipe == "full" or not (scale.startswith("gpu") or recipe in PARTS)
]


@pytest.mark.parametrize(("recipe", "scale"), PAIRS)
def test_a_shipped_recipe_is_rehearsed_without_a_problem(
    recipe: str, scale: str, tmp_path: Path
) -> None:
    own = stand_ins(tmp_path, recipe, scale) if scale != "tiny" else []
    plan = make_plan(compose([f"recipe={recipe}", f"scale={scale}", "name=x", *own], None))
    done = rehearse(plan, lambda line: None)
    assert done.problems == []
    assert set(done.states.values()) == {"rehearsed"} and len(done.states) == len(plan.stages)
    assert not done.folder.exists()


RECIPE = """
# @package _global_
# Fine-tune, prefer, reinforce, compare.
defaults:
  - /stage@stages.tuned: sft
  - /stage@stages.preferred: dpo
  - /stage@stages.reinforced: grpo
  - /stage@stages.compared: evaluate
  - _self_
benchmarks:
  mine: {path: sums.jsonl}
stages:
  tuned:
    data: {sums: {path: sums.jsonl, columns: {prompt: prompt, completion: reply}}}
    args: {max_steps: 20}
  preferred:
    model: stage:tuned
    data: {pairs: {path: pairs.jsonl}}
    args: {max_steps: 3}
  reinforced:
    model: stage:preferred
    data: {sums: {path: sums.jsonl}}
    rewards:
      accuracy: {answer: answer_tag}
      short: {weight: 0.1}
    args: {max_steps: 2, max_completion_length: 32}
  compared:
    rewards: {accuracy: {answer: answer_tag}, short: {}}
    models: {tuned: {path: stage:tuned}, reinforced: {path: stage:reinforced}}
"""
REWARD = """
import r1trl

@r1trl.verifier
def short(completion: str, *, longest: int = 80) -> float:
    '''Return 1 for an empty completion, falling to 0 for one of `longest` characters.'''
    return max(0.0, 1 - len(completion) / longest)

@r1trl.hookimpl
def r1trl_rewards():
    '''Offer `short`.'''
    return {"short": short}
"""


def test_a_newcomers_recipe_is_rehearsed_and_then_runs(tmp_path: Path) -> None:
    (tmp_path / "conf" / "recipe").mkdir(parents=True)
    (tmp_path / "conf" / "recipe" / "mine.yaml").write_text(RECIPE.lstrip())
    (tmp_path / "short.py").write_text(REWARD)
    sums, pairs = [], []
    for a in range(2, 10):
        for b in range(2, 10):
            prompt, answer = f"What is {a} + {b}?", f"<answer>{a + b}</answer>"
            sums.append(f'{{"prompt": "{prompt}", "reply": "{answer}", "solution": "{a + b}"}}\n')
            pairs.append(
                f'{{"prompt": "{prompt}", "chosen": "{answer}", "rejected": "I do not know."}}\n'
            )
    (tmp_path / "sums.jsonl").write_text("".join(sums))
    (tmp_path / "pairs.jsonl").write_text("".join(pairs))
    given = ["--config-dir", "conf", "recipe=mine", "scale=tiny", "plugins.load=[short.py]"]
    for words in (["plan", "--rehearse"], ["run"]):
        command = [sys.executable, "-m", "r1trl.cli", *words, *given, "name=first"]
        done = subprocess.run(
            command, cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert "reinforced" in (tmp_path / "runs" / "first" / "report.md").read_text()
