"""Stages of kind distillation: the student nears the teacher, kills change nothing, refusals."""

import json
import shutil
from pathlib import Path

import pytest
import r1trl_tiny
from stage_runs import Run

from r1trl.errors import ConfigError
from r1trl.plan.describe import describe

BASE = Path(r1trl_tiny.__file__).parent / "models" / "base"
RECIPE = """# @package _global_
defaults:
  - /stage@stages.close: distillation
  - _self_
stages:
  close:
    teacher: ${model.path}
    data:
      problems: {}
    args:
      max_steps: 6
      max_completion_length: 12
      save_steps: 3
"""
SMALL = (
    "sources.problems.options.count=128",  # two steps per epoch
    "scale.distill.batch=64",
    "scale.rl.micro_batch=32",
    "stages.close.args.learning_rate=1e-3",
)
EARLIER = """# @package _global_
defaults:
  - /stage@stages.first: sft
  - /stage@stages.drawn: sample
  - /stage@stages.close: distillation
  - _self_
stages:
  first:
    data: {general: {}}
    args: {max_steps: 2}
  drawn:
    model: ${model.path}
    data: {problems: {}}
  close:
    teacher: stage:first
    data: {problems: {}}
    args: {max_steps: 1, max_completion_length: 8}
"""


def problems_of(run: Run, *overrides: str) -> list[str]:
    """Return what is wrong with a run."""
    with pytest.raises(ConfigError) as caught:
        run.plan(*overrides)
    return caught.value.problems


def test_the_plan_names_the_stage_that_the_teacher_comes_from(tmp_path: Path) -> None:
    run = Run(tmp_path, EARLIER)
    plan = run.plan()
    assert plan.stages[2].spec.inputs["stage:first"] == str(run.stages / "first" / "model")
    assert plan.stages[2].spec.settings["teacher"] == str(run.stages / "first" / "model")
    assert "distillation" in describe(plan)


def test_a_teacher_that_is_missing_or_no_model_is_refused_by_the_plan(tmp_path: Path) -> None:
    run = Run(tmp_path, EARLIER)
    assert problems_of(run, "~stages.close.teacher") == ["stages.close.teacher: must be given"]
    assert problems_of(run, "stages.close.teacher=stage:drawn") == [
        "stages.close.teacher: stage 'drawn' makes a dataset, not a model"
    ]
    assert problems_of(run, "stages.close.teacher=stage:frist") == [
        "stages.close.teacher: no stage is called 'frist' (did you mean 'first'?); there are: "
        "close, drawn, first"
    ]
    assert problems_of(run, "~stages.close.data.problems") == [
        "stages.close.data: must name at least one source"
    ]


@pytest.mark.long
@pytest.mark.slow
def test_the_divergence_falls_and_a_killed_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole = Run(tmp_path / "whole", RECIPE, *SMALL)
    assert whole.carry_out() == 0, whole.log("close")
    metrics = whole.metrics("close")
    losses = [row["loss"] for row in metrics]
    assert sum(losses[-2:]) < 0.8 * sum(losses[:2]), losses
    killed = Run(tmp_path / "killed", RECIPE, *SMALL)
    killed.carry_out_killed("close", 5)
    names = ("loss", "grad_norm", "entropy", "learning_rate")
    for row, again in zip(metrics, killed.metrics("close"), strict=True):
        assert {name: row[name] for name in names} == {name: again[name] for name in names}
    assert killed.weights("close") == whole.weights("close")


@pytest.mark.slow
def test_a_model_does_not_diverge_from_itself(tmp_path: Path) -> None:
    same = Run(
        tmp_path / "same", RECIPE, *SMALL, "model@student=tiny", "stages.close.args.max_steps=1"
    )
    assert same.carry_out() == 0, same.log("close")
    assert same.metrics("close")[0]["loss"] == pytest.approx(0, abs=1e-6)


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    """Return a copy of the base model."""
    return Path(shutil.copytree(BASE, tmp_path / "teacher"))


def edit(path: Path, **values: object) -> None:
    """Change values of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.slow
def test_a_teacher_whose_tokens_are_not_the_students_is_refused(
    teacher: Path, tmp_path: Path
) -> None:
    run = Run(tmp_path / "run", RECIPE, *SMALL, f"stages.close.teacher={teacher}")
    edit(teacher / "tokenizer_config.json", eos_token="<|pad|>")
    # With the chat template both would end at the template's end.
    assert run.carry_out('stages.close.template="{{ prompt }}"') == 1
    assert (
        f"error: stages.close.teacher: {teacher} ends its answers with '<|pad|>', the student with "
        "'<|end|>'" in run.log("close")
    )
    shutil.copy(BASE / "tokenizer_config.json", teacher)
    tokens = json.loads((BASE / "tokenizer.json").read_text())
    vocabulary = tokens["model"]["vocab"]
    first, second = list(vocabulary)[-2:]
    vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]
    (teacher / "tokenizer.json").write_text(json.dumps(tokens))
    assert run.carry_out() == 1
    assert "error: stages.close.teacher: 2 of the student's 644 tokens, " in run.log("close")
    shutil.copy(BASE / "tokenizer.json", teacher)
    edit(teacher / "config.json", vocab_size=704)
    assert run.carry_out() == 1
    assert f"{teacher} has 704 logits per position, the student 644" in run.log("close")


@pytest.mark.slow
def test_rows_without_prompts_are_refused_in_a_sentence(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"riddle": "What is 1 + 1?"}\n')
    source = f"stages.close.data.problems={{dataset: null, path: {rows}, filters: {{}}}}"
    problem = (
        "stages.close.data.problems.columns: the rows have no column 'prompt'; they have: riddle"
    )
    with pytest.raises(ConfigError, match=problem):
        Run(tmp_path, RECIPE, "sources.problems=null", source).carry_out()
