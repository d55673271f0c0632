"""Stages on files of one's own: names that r1trl uses too, golds of several types, too few rows."""

import json
from pathlib import Path
from typing import Any

import one_step
import pytest
from datasets import Dataset
from one_step import OneStep
from stage_runs import Run

from r1trl.errors import StageError
from r1trl.plugins.loading import load
from r1trl.rescore.stage import saved_spec, stage_rollouts

pytestmark = pytest.mark.slow
PLUGIN = """
import r1trl

def own(prompts, completions, completion_ids, problem, model, reward, finished, **columns):
    values = zip(problem, model, reward, finished, strict=True)
    return [float(p.startswith("What") and m == "gpt" and r == 3 and f == "yes")
            for p, m, r, f in values]

@r1trl.hookimpl
def r1trl_rewards():
    return {"own": own}
"""
RECIPE = """# @package _global_
defaults:
  - /stage@stages.samples: sample
  - /stage@stages.again: sample
  - /stage@stages.scores: evaluate
  - _self_
stages:
  samples: &sample
    model: {model}
    template: "Q: {{{{ prompt }}}} ({{{{ problem }}}}) A:"
    data: {{rows: {{path: {rows}}}}}
    sampling: &short {{n: 2, max_tokens: 4, batch_size: 8, shard_size: 2}}
    rewards: {{own: {{}}}}
    metrics: {{correct: own}}
  again:
    <<: *sample
    data: {{rows: {{path: stage:samples, columns: {columns}}}}}
  scores:
    models: {{m: {{path: {model}, template: "Q: {{{{ prompt }}}} A:"}}}}
    benchmarks:
      numbers: {{path: {rows}}}
      texts: {{path: {texts}}}
      lists: {{path: {lists}}}
    sampling: *short
    rewards: {{accuracy: {{answer: answer_tag}}, own: {{}}}}
    metrics: {{correct: own}}
"""
OWN = {"problem": "What?", "model": "gpt", "benchmark": "b", "reward": 3, "finished": "yes"}
ROWS = [{"prompt": f"{i} + 1?", "solution": i + 1, "source": "mine", **OWN} for i in range(3)]
# Columns of rollouts by the names that the rows' own had.
COLUMNS = {name: name for name in ("prompt", "solution", "model", "benchmark")}
COLUMNS |= {name: f"row/{name}" for name in ("problem", "reward", "finished")}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Run:
    """Return a run that has sampled, sampled again, and evaluated on three benchmarks."""
    folder = tmp_path_factory.mktemp("own")
    texts = [{**row, "solution": str(row["solution"])} for row in ROWS]
    lists = [{**row, "solution": [row["solution"], "x"]} for row in ROWS]
    files = {"rows": ROWS, "texts": texts, "lists": lists}
    for name, rows in files.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "own.py").write_text(PLUGIN)
    paths = {name: folder / f"{name}.jsonl" for name in files}
    recipe = RECIPE.format(model=tiny_model, columns=json.dumps(COLUMNS), **paths)
    run = Run(folder, recipe, f"plugins.load=[{folder / 'own.py'}]", "~benchmarks.held_out")
    assert run.carry_out() == 0, [run.log(name) for name in ("samples", "again", "scores")]
    return run


def rollouts(run: Run, stage: str) -> list[dict[str, Any]]:
    """Return the rollouts of a stage."""
    file = run.stages / stage / "rollouts.parquet"
    return Dataset.from_parquet(str(file), cache_dir=str(run.folder / "cache" / stage)).to_list()


@pytest.mark.parametrize("stage", ["samples", "again"])
def test_rewards_get_a_rows_own_columns_and_rollouts_keep_them_aside(stage: str, run: Run) -> None:
    rows = rollouts(run, stage)
    assert [row["problem"] for row in rows] == sorted(
        i for n in range(len(rows) // 2) for i in [n] * 2
    )
    for row in rows:
        assert row["rewards/own"] == 1.0 == row["reward"]
        assert row["row/problem"] == "What?" and row["model"] == "gpt" and row["benchmark"] == "b"
        assert row["row/reward"] == 3 and row["row/finished"] == "yes" and row["source"] == "rows"
    said = "the rows' own columns"
    assert said in run.log(stage)


def test_a_row_keeps_its_own_source_aside(run: Run) -> None:
    assert {row["row/source"] for row in rollouts(run, "samples")} == {"mine"}


def test_benchmarks_with_golds_of_several_types_have_one_scoreboard(run: Run) -> None:
    rows = rollouts(run, "scores")
    assert {row["benchmark"] for row in rows} == {"numbers", "texts", "lists"}
    assert {row["model"] for row in rows} == {"m"} and {row["row/model"] for row in rows} == {"gpt"}
    assert all(row["rewards/own"] == 1.0 for row in rows)
    for row in rows:
        gold = str(int(row["prompt"].split()[0]) + 1)
        assert row["solution"] == ([gold, "x"] if row["benchmark"] == "lists" else [gold])


@pytest.mark.parametrize("stage", ["samples", "scores"])
def test_rescoring_gives_rewards_the_same_columns(stage: str, run: Run) -> None:
    plugins = load([str(run.folder / "own.py")])
    folder = run.stages / stage
    for _, columns in stage_rollouts(folder, saved_spec(folder), plugins).parts:
        assert set(columns["problem"]) == {"What?"} and set(columns["model"]) == {"gpt"}
        assert set(columns["reward"]) == {3} and set(columns["finished"]) == {"yes"}
        assert all("What?" in prompt for prompt in columns["prompt"]) or stage == "scores"


@pytest.mark.parametrize("name", ["grpo", "rloo"])
def test_fewer_rows_than_a_rollout_takes_are_told_before_training(
    name: str, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_step, "ROWS", one_step.ROWS[:1])
    message = (
        r"stages\.x\.rollout\.outputs: nothing would be trained: a rollout of 4 completions in "
        r"groups of args\.num_generations=2 takes 2 rows, and there is 1"
    )
    with pytest.raises(StageError, match=message):
        OneStep(name, tiny_model, tmp_path).train({})


@pytest.mark.parametrize("name", ["sft", "pairwise", "pointwise", "dpo", "distillation"])
def test_a_training_without_a_step_fails_and_leaves_no_model(
    name: str, tiny_model: Path, tmp_path: Path
) -> None:
    kind = OneStep(name, tiny_model, tmp_path)
    many = {"per_device_train_batch_size": 16, "dataloader_drop_last": True}
    reason = "args.dataloader_drop_last=true leaves out what is less than a batch of 16 rows"
    message = rf"nothing was trained: no step was made of 8 rows; {reason}"
    with pytest.raises(StageError, match=message):
        kind.train(many)
    assert not (tmp_path / f"{name}-1" / "model").exists()


def test_a_tiny_share_of_an_epoch_is_a_step(tiny_model: Path, tmp_path: Path) -> None:
    kind = OneStep("sft", tiny_model, tmp_path)
    assert kind.train({"max_steps": -1, "num_train_epochs": 0.001})["loss"] > 0


@pytest.mark.parametrize("name", ["completions", "rewards", "log_metric", "prompts"])
def test_a_column_that_every_reward_gets_is_refused_before_anything_is_drawn(
    name: str, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_step, "ROWS", [{**row, name: "x"} for row in one_step.ROWS])
    message = rf"stages\.x\.data: the rows have a column '{name}', and rewards get something else"
    with pytest.raises(StageError, match=message):
        OneStep("grpo", tiny_model, tmp_path).train({})
