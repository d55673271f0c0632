"""What verdicts say of a stage's own rollouts: metrics of right and wrong ones, and pass rates."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stage_runs import Run

from r1trl.evaluation.verdicts import by_verdict, pass_rates
from r1trl.stage.times import without_times

pytestmark = pytest.mark.slow

# Rewards of what a completion is alone, so that a test knows them; each completion is kept.
RECORDED = """
import json
import os
from pathlib import Path

import r1trl


def even(prompts, completions, completion_ids, **columns):
    '''Return whether the sum of the ids is even; no verdict if it divides by 5.'''
    sums = [sum(ids) for ids in completion_ids]
    return [None if n % 5 == 0 else float(n % 2 == 0) for n in sums]


def seven(prompts, completions, completion_ids, *, trainer_state, **columns):
    '''Return the remainder of the sum by 7; no value where it is 0.'''
    drawn = [
        {"step": trainer_state.global_step, "prompt": prompt, "ids": ids}
        for prompt, ids in zip(prompts, completion_ids)
    ]
    rank = os.environ.get("RANK", "0")
    with (Path(__file__).parent / f"drawn-{rank}.jsonl").open("a") as file:
        file.writelines(json.dumps(row) + "\\n" for row in drawn)
    return [sum(ids) % 7 or None for ids in completion_ids]


class Refuses:
    '''Refuses the groups whose first completion has an even number of tokens.'''

    rounds = 2

    def admit(self, group):
        return group.completion_lengths[0] % 2 == 1


@r1trl.hookimpl
def r1trl_rewards():
    return {"even": even, "seven": seven}


@r1trl.hookimpl
def r1trl_samplers():
    return {"refuses": Refuses}
"""
RECIPE = """
# @package _global_
defaults:
  - /stage@stages.learn: {kind}
stages:
  learn:
    template: ${{template.zero}}
    data: {{problems: {{sample_rows: 24}}}}
    rewards: {{even: {{}}, seven: {{weight: 0.0}}}}
    metrics: {{correct: even}}
    rollout: {{outputs: 24, minibatches: 2}}
    args:
      num_generations: 8
      per_device_train_batch_size: 6
      max_completion_length: 6
      max_steps: 8
      learning_rate: 1.0e-5
      save_steps: 2
      logging_steps: 4
"""
GROUP = 8  # of two processes with 12 completions each, which part one of three groups
ROLLOUTS = (0, 2, 4, 6)  # the steps that were made before each
Rows = list[dict[str, Any]]


def run_of(folder: Path, *overrides: str, kind: str = "grpo") -> Run:
    """Return a run of one stage with its plugin."""
    run = Run(folder, RECIPE.format(kind=kind), *overrides)
    (folder / "recorded.py").write_text(RECORDED)
    return run


def carry_out(run: Run) -> None:
    """Carry out a run."""
    plugin = f"plugins.load=[{run.folder}/recorded.py]"
    assert run.carry_out(plugin) == 0, run.log("learn")


def rollouts(run: Run, processes: int = 1) -> dict[int, Rows]:
    """Return the completions that were drawn after so many steps, in the order of processes."""
    found: dict[int, Rows] = {step: [] for step in ROLLOUTS}
    for rank in range(processes):
        for line in (run.folder / f"drawn-{rank}.jsonl").read_text().splitlines():
            row = json.loads(line)
            found[row["step"]].append(row)
    return found


def verdict(row: dict[str, Any]) -> bool | None:
    """Return whether a completion is right."""
    total = sum(row["ids"])
    return None if total % 5 == 0 else total % 2 == 0


def groups(rows: Rows) -> Iterator[tuple[str, list[bool]]]:
    """Yield the prompt of each group and the verdicts that there are."""
    for start in range(0, len(rows), GROUP):
        group = rows[start : start + GROUP]
        (prompt,) = {row["prompt"] for row in group}
        if known := [right for row in group if (right := verdict(row)) is not None]:
            yield prompt, known


def metrics_of(rows: Rows) -> dict[str, float]:
    """Return the metrics of completions by plain arithmetic."""
    values: dict[str, list[float]] = {}
    for row in rows:
        if (right := verdict(row)) is not None:
            word = "right" if right else "wrong"
            rest = sum(row["ids"]) % 7
            values.setdefault(f"completions/mean_length/{word}", []).append(len(row["ids"]))
            values.setdefault(f"rewards/even/{word}", []).append(float(right))
            values.setdefault(f"rewards/seven/{word}", []).extend([rest] if rest else [])
    for _, known in groups(rows):
        values.setdefault("pass_rate/always", []).append(all(known))
        values.setdefault("pass_rate/never", []).append(not any(known))
    return {name: sum(each) / len(each) for name, each in values.items() if each}


def own(row: dict[str, Any]) -> dict[str, float]:
    """Return the metrics of a row that verdicts make."""
    return {k: v for k, v in row.items() if k.endswith(("/right", "/wrong")) or "pass_rate" in k}


def rates(run: Run) -> Rows:
    """Return the rows of pass_rates.jsonl."""
    text = (run.stages / "learn" / "pass_rates.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def assert_told(run: Run, processes: int = 1) -> None:
    """Assert that metrics and pass rates are those of the completions that were drawn."""
    found, logged = rollouts(run, processes), run.metrics("learn")
    assert [row["step"] for row in logged] == [4, 8]
    for row in logged:
        both = [found[row["step"] - 4], found[row["step"] - 2]]
        wanted = metrics_of([*both[0], *both[1]])
        assert own(row) == pytest.approx(wanted) and len(wanted) == 8
    wanted_rates = [
        {
            "step": step + 1,
            "prompt": hashlib.sha256(prompt.encode()).hexdigest()[:16],
            "rate": sum(known) / len(known),
            "n": len(known),
        }
        for step, rows in found.items()
        for prompt, known in groups(rows)
    ]
    assert rates(run) == wanted_rates


@pytest.mark.parametrize("kind", ["grpo", pytest.param("rloo", marks=pytest.mark.long)])
def test_metrics_and_pass_rates_are_those_of_all_completions_since_the_last_logging(
    kind: str, tmp_path: Path
) -> None:
    """Two rollouts are logged at once, and a mean of their means would be another number.

    A completion without a verdict is no zero in TRL's mean of totals, although another reward, of
    the weight 0, has a value.
    """
    run = run_of(tmp_path, kind=kind)
    carry_out(run)
    assert_told(run)
    verdicts = [[verdict(row) for row in rows] for rows in rollouts(run).values()]
    assert all(None in each for each in verdicts)
    known = [[right for right in each if right is not None] for each in verdicts]
    totals = [sum(each) / len(each) for each in known]
    assert run.metrics("learn")[0]["reward"] == pytest.approx(sum(totals[:2]) / 2)
    means = [metrics_of(rows)["completions/mean_length/right"] for rows in rollouts(run).values()]
    logged = run.metrics("learn")[0]["completions/mean_length/right"]
    assert logged != pytest.approx(sum(means[:2]) / 2, rel=1e-9)


@pytest.mark.long
def test_two_processes_count_every_completion_once(tmp_path: Path) -> None:
    """They have 12 completions each, so that they part a group of 8."""
    run = run_of(tmp_path, "launch=cpu2")
    carry_out(run)
    assert_told(run, processes=2)


def test_a_killed_stage_tells_every_pass_rate_once(tmp_path: Path) -> None:
    """It was killed after a rollout that no checkpoint has; the one before is logged with it."""
    every = "stages.learn.args.logging_steps=3"
    whole, cut = (run_of(tmp_path / name, every) for name in ("whole", "cut"))
    carry_out(whole)
    cut.carry_out_killed("learn", 3, cut.folder / "recorded.py")
    assert {row["step"] for row in rates(cut)} == {1, 3, 5, 7} and rates(cut) == rates(whole)
    logs = [[without_times(own(row)) for row in run.metrics("learn")] for run in (whole, cut)]
    assert logs[0] == logs[1] and len(logs[0]) == 2


def test_completions_of_groups_that_a_sampler_refuses_count_too(tmp_path: Path) -> None:
    run = run_of(tmp_path, "stages.learn.samplers={refuses: {}}")
    carry_out(run)
    assert_told(run)
    assert max(len(rows) for rows in rollouts(run).values()) > 24


def test_a_stage_without_a_reward_of_right_answers_says_nothing_of_them(tmp_path: Path) -> None:
    run = run_of(tmp_path, "stages.learn.metrics.correct=null", "stages.learn.args.max_steps=2")
    carry_out(run)
    assert not (run.stages / "learn" / "pass_rates.jsonl").exists()
    assert not any(own(row) for row in run.metrics("learn"))


def test_what_there_is_nothing_of_is_left_out() -> None:
    columns = {"a": [1.0, None, 3.0, 4.0], "b": [None, None, 5.0, None]}
    assert by_verdict([True, True, None, False], columns) == {"a/right": [1.0], "a/wrong": [4.0]}
    assert by_verdict([None, True, None, True], columns) == {"a/right": [4.0]}
    assert pass_rates([True, None, None, None, False, False], list("aabbcc"), 2) == [
        {"prompt": "a", "rate": 1.0, "n": 1},
        {"prompt": "c", "rate": 0.0, "n": 2},
    ]
