"""Runs of tests whose stages have servers, and what is left of them."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from ranks import wait_for

PROGRAM = Path(__file__).parent / "served_program.py"
FEW = "benchmarks.held_out.sample_rows=6"
COMMAND = f"[{sys.executable}, {PROGRAM}]"
RECIPE = """# @package _global_
defaults:
  - /stage@stages.draws: sample
  - /stage@stages.scores: evaluate
  - _self_
stages:
  draws:
    model: ${model.path}
    template: ${template.zero}
    data: {problems: {sample_rows: 24}}
    rewards: {accuracy: {answer: answer_tag}}
    metrics: {correct: accuracy}
    sampling: {n: 2, max_tokens: 16, shard_size: 4}
    endpoints: {concurrency: 2}
    serve: {policy: {replicas: 2}}
  scores:
    models:
      base: {path: "${model.path}", template: "${template.zero}"}
      other: {path: "${student.path}", template: "${template.zero}"}
    rewards:
      accuracy: {answer: answer_tag}
      taste: {reward: llm_judge, model: judge, url: "serve:judge"}
    metrics: {correct: accuracy}
    sampling: {n: 1, max_tokens: 16}
    serve: {policy: {}, judge: {model: "${student.path}"}}
"""


def write_recipe(folder: Path, recipe: str = RECIPE) -> None:
    """Write the recipe `mine` into a folder."""
    (folder / "conf" / "recipe").mkdir(parents=True)
    (folder / "conf" / "recipe" / "mine.yaml").write_text(recipe)


def start(folder: Path, *overrides: str) -> "subprocess.Popen[str]":
    """Start a run of the recipe in the folder."""
    command = [sys.executable, "-m", "r1trl.cli", "run", "--config-dir", "conf"]
    return subprocess.Popen(
        [*command, "recipe=mine", "scale=tiny", "name=x", "preflight=false", FEW, *overrides],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def commands(*overrides: str) -> list[str]:
    """Return overrides by which servers are the program of tests."""
    keys = ("draws.serve.policy", "scores.serve.policy", "scores.serve.judge")
    return [*(f"stages.{key}.command={COMMAND}" for key in keys), *overrides]


def state(stage: Path, group: str = "beside") -> dict[str, object]:
    """Return what the first node of a stage's servers says; empty: nothing yet."""
    path = stage / "serve" / f"{group}.0.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}


def of_policy(stage: Path) -> dict[int, int]:
    """Return the last process of each replica of a stage's policy, as its node has said."""
    log = stage / "serve" / "nodes.txt"
    said = log.read_text() if log.exists() else ""
    found = re.findall(r"policy\.(\d+): process (\d+) serves", said)
    return {int(number): int(pid) for number, pid in found}


def wait_in(run: "subprocess.Popen[str]", condition: Callable[[], object], seconds: float) -> None:
    """Wait until a condition holds while a run is at work; fail if it ends before."""

    def over() -> bool:
        return run.poll() is not None or bool(condition())

    wait_for(over, seconds)
    assert condition(), run.communicate()[0]
