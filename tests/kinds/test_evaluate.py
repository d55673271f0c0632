"""Evaluate stages ask every question in every form, under the same seed, and again under others."""

import json
import random
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from r1trl_tiny.problems import problems, question
from stage_runs import Run
from tiny_corpus import LANGUAGES, Mixture, reasoning

from r1trl.errors import ConfigError
from r1trl.plan.plan import make_plan
from r1trl.run.worker import run_stage_folder
from r1trl.stage.files import read_result, write_spec
from r1trl.storage.jsonl import write_rows

ROWS = 6
SMALL = (
    *("recipe=sensitivity", "scale=tiny", f"benchmarks.held_out.sample_rows={ROWS}"),
    *("stages.sensitivity.sampling.max_tokens=6", "stages.sensitivity.noise_seeds=2"),
)
VARIANTS = (
    "stages.sensitivity.variants={same: {variant: identity}, paraphrase: {}, think: "
    "{variant: prefill}, system: {text: 'Assistant: <think>9 + 9 = 18</think><answer>18</answer>'}}"
)


def planned(composed: Callable[..., Any], *overrides: str) -> Any:
    """Return the one stage of the recipe, as it is planned."""
    return make_plan(composed(*SMALL, *overrides)).stages[0]


@pytest.mark.slow
def test_every_cell_is_drawn_and_compared(composed: Callable[..., Any], tmp_path: Path) -> None:
    stage = planned(composed, VARIANTS, f"runs_dir={tmp_path}")
    write_spec(stage.folder, stage.spec)
    run_stage_folder(stage.folder)
    path = str(stage.folder / "rollouts.parquet")
    rows = Dataset.from_parquet(path, cache_dir=str(tmp_path / "cache")).to_list()
    cells: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        cells.setdefault(row["variant"], []).append(row)
    assert {name: own[0]["factor"] for name, own in cells.items()} == {
        "reference": "reference",
        "seed_1": "seed",
        "seed_2": "seed",
        "same": "identity",
        "paraphrase": "paraphrase",
        "think": "prefill",
        "system": "system",
    }
    assert all([row["problem"] for row in own] == list(range(ROWS)) for own in cells.values())

    def column(cell: str, name: str = "completion") -> list[Any]:
        return [row[name] for row in cells[cell]]

    assert column("same") == column("reference")
    assert column("seed_1") != column("reference") != column("seed_2") != column("seed_1")
    assert column("seed_1", "prompt") == column("reference", "prompt") == column("think", "prompt")
    asked = zip(column("paraphrase", "prompt"), column("reference", "prompt"), strict=True)
    assert all(other.endswith(f"\n{own}") for other, own in asked)
    assert all(text.startswith("<think>\n") for text in column("think"))
    assert column("system") != column("reference")
    assert column("paraphrase", "solution") == column("reference", "solution")

    result = read_result(stage.folder)
    assert result is not None
    right = sum(row["rewards/accuracy"] == 1 for row in cells["reference"]) / ROWS
    assert result.metrics["base/held_out/pass@1"] == right
    found = json.loads((stage.folder / "sensitivity.json").read_text())["base"]["held_out"]
    assert found["factors"]["identity"]["effect"] == 0
    assert set(found["prompts"]) == set(cells)
    assert result.metrics["base/held_out/variants/pss"] == found["variants"]["pss"]


PLANTED = """
    from typing import Any

    import r1trl

    def nothing(row: dict[str, Any], settings: Any, rng: Any) -> Any:
        return row, settings

    def costly(row: dict[str, Any], settings: Any, rng: Any) -> Any:
        if rng.random() < 0.2:
            row["prompt"] = "What is one plus one?"
        return row, settings

    @r1trl.hookimpl
    def r1trl_variants() -> Any:
        return {"nothing": nothing, "costly": costly}
"""


TAUGHT = """
# @package _global_
defaults: [/stage@stages.taught: sft, /stage@stages.sensitivity: evaluate]
stages:
  taught:
    data: {worked: {path: worked.jsonl}}
  sensitivity:
    models: {taught: {path: stage:taught}}
    noise_seeds: 3
    variants: {nothing: {}, costly: {}}
    transitions: {sensitivity: {}}
"""


@pytest.mark.slow
@pytest.mark.long
def test_of_variants_planted_in_a_real_model_the_noise_floor_hides_the_one_of_no_effect(
    tmp_path: Path, plugin_file: Callable[..., str]
) -> None:
    """The model is the embedded base after sums that are worked out, and answers nearly all."""
    write_rows(worked_sums(1024), tmp_path / "worked.jsonl")
    run = Run(
        tmp_path,
        TAUGHT.replace("worked.jsonl", str(tmp_path / "worked.jsonl")),
        f"plugins.load=[{plugin_file(PLANTED)}]",
        "benchmarks.held_out.sample_rows=128",
    )
    assert run.carry_out() == 0, run.log("sensitivity")
    file = run.stages / "sensitivity" / "sensitivity.json"
    found = json.loads(file.read_text())["taught"]["held_out"]
    assert found["questions"] == 128 and found["prompts"]["reference"]["accuracy"] > 0.8
    nothing, costly = found["factors"]["nothing"], found["factors"]["costly"]
    assert abs(nothing["effect"]) <= nothing["noise"] < 0.1 and not nothing["outside"]
    assert costly["outside"] and -0.35 < costly["effect"] < -0.08 and costly["high"] < 0


def worked_sums(count: int) -> list[dict[str, str]]:
    """Return sums of the tiny world that are not held out, each with a right worked answer."""
    rng, rows = random.Random(0), list[dict[str, str]]()
    for problem in islice(problems(0, held_out=False), count):
        language = rng.choice(LANGUAGES)
        text, value = reasoning(problem, language, rng, Mixture(slip=0.0))
        answer = f"<think>{text}</think><answer>{value}</answer>"
        rows.append({"prompt": question(problem, language, rng), "completion": answer})
    return rows


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("variants={typo: {}}", "variants: no variant is called 'typo' (did you mean 'typos'?)"),
        ("variants.typos={rat: 1}", "variants.typos: variant 'typos' has no option 'rat'"),
        ("variants.boxed={on: 3}", "variants.boxed.on: value '3' of type 'int' is not a bool"),
        ("variants.boxed={variant: box}", "variants: no variant is called 'box'"),
        ("variants.seed_1={variant: boxed}", "variants.seed_1: is what the rows as they are are"),
        ("variants={}", "noise_seeds: is for comparison with variants, and the stage has none"),
        ("sampling.temperature=0", "noise_seeds: at sampling.temperature=0 every seed draws"),
    ],
)
def test_what_is_wrong_with_variants_is_said_by_the_plan(
    override: str, problem: str, composed: Callable[..., Any]
) -> None:
    with pytest.raises(ConfigError) as found:
        planned(composed, f"stages.sensitivity.{override}")
    assert any(f"stages.sensitivity.{problem}" in line for line in found.value.problems)


def test_a_stage_that_trains_refuses_variants(composed: Callable[..., Any]) -> None:
    with pytest.raises(
        ConfigError, match=r"zero\.variants: GRPOTrainer takes no variants; evaluate"
    ):
        make_plan(composed("recipe=zero", "scale=tiny", "stages.zero.variants={boxed: {}}"))


def test_a_plan_says_by_how_many_prompts_each_question_is_asked(
    composed: Callable[..., Any],
) -> None:
    stage = planned(composed, VARIANTS)
    assert stage.kind.size(stage.config).endswith("tokens by 7 prompts")
