"""A kind of stage from one file: composed, planned, run, and refused with a sentence if wrong."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from stage_runs import Run

from r1trl.config.kinds import load_plugins
from r1trl.errors import ConfigError
from r1trl.plan.describe import describe

BLEND = '''
from dataclasses import dataclass
from typing import Literal

import r1trl


@dataclass
class BlendSettings:
    """Where a share of the extra rows goes."""

    place: Literal["first", "last"]
    extra: r1trl.Rows
    share: float = 1.0


def run(work):
    """Put a share of other rows before or after the stage's own."""
    from datasets import concatenate_datasets, load_dataset

    stage, columns = work.stage, ["prompt", "completion"]
    format_ = "parquet" if stage.extra.endswith(".parquet") else "json"
    extra = load_dataset(format_, data_files=stage.extra, split="train").select_columns(columns)
    extra = extra.select(range(round(stage.share * len(extra))))
    parts = [work.rows().select_columns(columns), extra]
    rows = concatenate_datasets(parts[::-1] if stage.place == "first" else parts)
    work.write_rows([rows])
    return {"rows": float(len(rows))}


@r1trl.hookimpl
def r1trl_kinds():
    kind = r1trl.Kind(
        run=run,
        settings=BlendSettings,
        makes="dataset",
        needs=("data",),
        columns=lambda stage: ("prompt", "completion"),
        size=lambda stage: f"{stage.share:.0%} of {stage.extra}",
    )
    return {"blend": kind}
'''
STAGE = "kind: blend\nplace: last\n"
RECIPE = """# @package _global_
defaults:
  - /stage@stages.some: blend
  - /stage@stages.more: blend
  - /stage@stages.tuned: sft
  - _self_
stages:
  some:
    data: {general: {}}
    extra: EXTRA
    share: 0.5
  more:
    data: {general: {}}
    extra: stage:some
    place: first
  tuned:
    data: {blended: {path: stage:more}}
    args: {max_steps: 1}
"""


@pytest.fixture
def run(tmp_path: Path, plugin_file: Any) -> Run:
    """Return a run with two stages of a kind from a file, and one that reads their rows."""
    extra = tmp_path / "extra.jsonl"
    extra.write_text('{"prompt": "Hi", "completion": "Hello."}\n' * 8)
    (tmp_path / "conf" / "stage").mkdir(parents=True)
    (tmp_path / "conf" / "stage" / "blend.yaml").write_text(STAGE)
    load = f"plugins.load=[{plugin_file(BLEND)}]"
    return Run(
        tmp_path,
        RECIPE.replace("EXTRA", str(extra)),
        *(load, "sources.general.options.count=20", "model=tiny-student"),
    )


def problems_of(run: Run, *overrides: str) -> list[str]:
    """Return what is wrong with a run."""
    with pytest.raises(ConfigError) as caught:
        run.plan(*overrides)
    return caught.value.problems


def test_the_plan_shows_the_size_and_resolves_the_references(run: Run, tmp_path: Path) -> None:
    plan = run.plan()
    some, more, tuned = plan.stages
    assert f"50% of {tmp_path / 'extra.jsonl'}" in describe(plan)
    assert more.spec.settings["extra"] == str(some.folder / "rollouts.parquet")
    assert more.spec.settings["place"] == "first" and more.spec.settings["share"] == 1.0
    assert tuned.spec.inputs == {"stage:more": str(more.folder / "rollouts.parquet")}


@pytest.mark.slow
def test_its_rows_feed_later_stages_and_the_same_command_continues(run: Run) -> None:
    assert run.carry_out() == 0, run.log("tuned")
    rows = Dataset.from_parquet(str(run.stages / "more" / "rollouts.parquet"))
    prompts = rows["prompt"]
    assert len(prompts) == 20 + (20 + 4)
    assert prompts[20:24] == ["Hi"] * 4, "the rows of `some`, its extra ones last, come first"
    assert prompts[:20] == prompts[24:]
    assert (run.stages / "tuned" / "model" / "model.safetensors").exists()
    assert all(stage.finished for stage in run.plan().stages)


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (
            ["stages.some.kind=blent"],
            "stages.some.kind: no kind is called 'blent' (did you mean 'blend'?); there are: "
            "blend, distillation, dpo, evaluate, grpo, reward_model, rloo, sample, sft",
        ),
        (
            ["stages.some.share=half"],
            "stages.some.share: value 'half' of type 'str' is not a float",
        ),
        (
            ["stages.some.place=frist"],
            "stages.some.place: 'frist' is not possible (did you mean 'first'?); choose one of: "
            "first, last",
        ),
        (["~stages.some.extra"], "stages.some.extra: must be given"),
        (
            ["stages.some.extra=stage:tuned"],
            "stages.some.extra: stage 'tuned' comes later in the recipe; a stage uses earlier ones",
        ),
        (
            ["stages.some.batch=8"],
            "stages.some.batch: a stage of kind blend takes no batch; "
            "distillation, dpo, sft, reward_model stages do",
        ),
        (
            ["stages.some.args={learning_rate: 1.0}"],
            "stages.some.args: a stage of kind blend has no trainer",
        ),
    ],
)
def test_a_wrong_recipe_is_refused_in_a_sentence(
    run: Run, overrides: list[str], problem: str
) -> None:
    assert problem in problems_of(run, *overrides)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            '"blend": kind',
            '"sft": kind',
            "two plugins offer a kind called 'sft': kinds and {path}; "
            "block one with plugins.block=[…]",
        ),
        (
            '"blend": kind',
            '"blend": run',
            "plugin '{path}': r1trl_kinds offers 'blend' as function; a kind is an r1trl.Kind",
        ),
        (
            "share: float = 1.0",
            "share: set[str] = None",
            "plugin '{path}': kind 'blend': settings.share: a value of type set[str] cannot be "
            "checked; use str, int, float, bool, Literal, r1trl.Model, r1trl.Rows, a list or dict "
            "of these, a dataclass or a dict of dataclasses, or any of these or None",
        ),
        (
            "share: float = 1.0",
            "filters: float = 1.0",
            "plugin '{path}': kind 'blend': settings.filters: every stage has a key of that name; "
            "choose another",
        ),
        (
            "share: float = 1.0",
            "share: 'Missing' = None",
            "plugin '{path}': kind 'blend': the types of settings cannot be read: "
            "NameError: name 'Missing' is not defined; import them",
        ),
        (
            "settings=BlendSettings",
            "settings=dict",
            "plugin '{path}': kind 'blend': settings is <class 'dict'>; make it a dataclass",
        ),
    ],
)
def test_a_wrong_kind_is_refused_in_a_sentence(
    old: str, new: str, problem: str, plugin_file: Any
) -> None:
    path = plugin_file(BLEND.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        load_plugins([path])
    assert caught.value.problems == [problem.format(path=path)]


def test_a_package_whose_file_would_be_hidden_is_refused(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "acme_blend"
    (package / "conf" / "stage").mkdir(parents=True)
    (package / "__init__.py").write_text(BLEND)
    (package / "conf" / "stage" / "sft.yaml").write_text(STAGE)
    monkeypatch.syspath_prepend(tmp_path)
    (problem,) = problems_of(run, "plugins.load=[acme_blend]")
    file = package / "conf" / "stage" / "sft.yaml"
    assert problem.startswith(f"plugins: {file} would be hidden by ")
    assert problem.endswith("conf/stage/sft.yaml; rename it, or block its plugin")


def test_loading_every_kind_imports_neither_torch_nor_trl() -> None:
    code = (
        "import sys\n"
        "from r1trl.config.kinds import load_plugins\n"
        "print(len(load_plugins().offers['kind']))\n"
        "print(*sorted({'torch', 'trl', 'transformers', 'datasets'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    count, *heavy = done.stdout.split()
    assert int(count) >= 8 and not heavy
