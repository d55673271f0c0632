"""`r1trl plan --preflight` finds faults before any GPU-second, and shipped recipes pass."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import r1trl_tiny
from hub_rows import paper_data

from r1trl.plan.plan import make_plan
from r1trl.trust.preflight import preflight

pytestmark = pytest.mark.slow  # starts scoring processes

QUESTION = "How many apples do {a} baskets of {b} apples and one more apple hold together?"
TRAIN = [
    {"prompt": QUESTION.format(a=a, b=b), "solution": str(a * b + 1)}
    for a in range(2, 5)
    for b in range(20, 24)
]
HELD_OUT = [
    {"prompt": QUESTION.format(a=9, b=b), "solution": str(9 * b + 1)} for b in range(30, 34)
]
ASKS = "template.zero='Think in <think> </think>, then answer in <answer> </answer>. {{ prompt }}'"
BOXED = r"template.zero='Put the answer into \\boxed{}. {{ prompt }}'"
OTHERS = ("harder", "unseen", "helpful", "safe")  # benchmarks of the tiny world
FIRST_STAGE_ONLY = ("~stages.zero", "~stages.scoreboard")
PLUGIN = """
import r1trl

@r1trl.describe(full_score=1.0)
def strict(prompts, completions, completion_ids, **columns):
    return [float(completion.startswith("<think>")) for completion in completions]

@r1trl.hookimpl
def r1trl_rewards():
    return {"strict": strict}
"""


@pytest.fixture
def findings(composed: Any, tmp_path: Path) -> Any:
    """Return a function that runs the preflight of recipe zero on rows of one's own."""

    def run(
        *overrides: str, train: Any = TRAIN, held_out: Any = HELD_OUT, dropped: Any = OTHERS
    ) -> list[Any]:
        sources = {"sources.problems": train, "benchmarks.held_out": held_out}
        paths = []
        for key, rows in sources.items():
            path = tmp_path / f"{key}.jsonl"
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
            paths.append(f"{key}.path={path}")
        small = ("scale.rl.outputs=64", "scale.rl.micro_batch=32")  # a rollout takes 8 of the rows
        alone = (f"benchmarks.{name}=null" for name in dropped)
        run_of = ("recipe=zero", "scale=tiny", f"runs_dir={tmp_path}", *small, *alone)
        return preflight(make_plan(composed(*run_of, ASKS, *paths, *overrides)))

    return run


def problems(findings: list[Any]) -> list[str]:
    """Return the texts of the findings that are problems, not notes."""
    return [finding.text for finding in findings if finding.wrong]


def test_a_recipe_whose_prompt_and_rewards_agree_passes(findings: Any) -> None:
    assert findings(dropped=()) == []


def test_a_prompt_that_asks_for_another_format_than_is_verified_is_found(findings: Any) -> None:
    texts = problems(findings(BOXED))
    start = "stages.zero_first.rewards.accuracy: the gold answer gets 0 of 1 on 12 of 12 rows"
    assert any(text.startswith(start) for text in texts)
    assert all("the form <think>…</think><answer>…</answer> would suit" in text for text in texts)


def test_gold_answers_that_cannot_be_parsed_are_found(findings: Any) -> None:
    rows = [{**row, "solution": "it depends on the baskets you have"} for row in TRAIN]
    texts = problems(findings(train=rows))
    start = "stages.zero_first.rewards.accuracy: no verdict on the gold answer of 12 of 12 rows"
    assert any(text.startswith(start) for text in texts)


def test_a_few_unparsable_gold_answers_are_only_a_note(findings: Any) -> None:
    rows = [*TRAIN, *TRAIN, {**TRAIN[0], "solution": "it depends on the baskets you have"}]
    found = findings(train=rows)
    assert not problems(found)
    assert any("repeat another" in finding.text for finding in found)


@pytest.mark.long
def test_a_reward_that_ignores_the_prefilled_think_is_found(
    findings: Any, plugin_file: Any
) -> None:
    load = f"plugins.load=[{plugin_file(PLUGIN)}]"
    strict = (load, "stages.zero_first.rewards.strict={}", *FIRST_STAGE_ONLY)
    assert not problems(findings(*strict))
    texts = problems(findings(*strict, "stages.zero_first.prefill='<think>'"))
    assert len(texts) == 1
    assert texts[0].startswith(
        "stages.zero_first.rewards.strict: the gold answer gets 0 of 1 on 12"
    )


def test_a_missing_column_is_found(findings: Any) -> None:
    texts = problems(findings("sources.problems.columns={prompt: prompt, solutions: solution}"))
    assert texts[0] == (
        "stages.zero_first.rewards.accuracy: reads the column 'solution', which the rows of "
        "problems do not have (did you mean 'solutions'?); they have: prompt, solutions, source"
    )


def test_a_column_with_other_content_is_found(findings: Any) -> None:
    texts = problems(findings("sources.problems.columns={prompt: prompt, solution: prompt}"))
    assert any("rewards.accuracy: no verdict on the gold" in text for text in texts)


def test_a_benchmark_in_the_training_data_is_found(findings: Any) -> None:
    rows = [*TRAIN, {**HELD_OUT[3], "prompt": HELD_OUT[3]["prompt"].upper()}]
    assert not problems(findings(train=rows))  # the recipe's filter removes it
    texts = problems(findings("sources.problems.filters.decontaminate=null", train=rows))
    start = "stages.zero_first.data.problems: 1 of 13 questions are in the benchmark 'held_out' too"
    assert texts[0].startswith(start)


def test_a_requirement_that_gold_answers_never_meet_is_found(findings: Any) -> None:
    rewards = (
        "stages.zero_first.rewards={accuracy: {requires: [think_format]}, "
        "think_format: {profile: boxed}}"
    )
    texts = problems(findings(rewards))
    assert any(
        text.startswith("stages.zero_first.rewards.accuracy: the gold answer gets 0 of 1")
        and "(it requires think_format)" in text
        for text in texts
    )


def test_a_reward_that_raises_is_told_with_its_error_and_no_other_is(
    findings: Any, plugin_file: Any
) -> None:
    source = (
        "import r1trl\n\n@r1trl.verifier\ndef boom(completion: str, solution: str) -> float:\n"
        "    return 1 / 0\n\n@r1trl.hookimpl\ndef r1trl_rewards():\n    return {'boom': boom}\n"
    )
    chosen = (f"plugins.load=[{plugin_file(source)}]", "stages.zero_first.rewards.boom={}")
    texts = problems(findings(*chosen))
    start = "stages.zero_first.rewards.boom: error on the gold answer of 12 of 12 rows of problems"
    assert all(text.startswith(start) for text in texts) and len(texts) == 1
    assert texts[0].endswith("(ZeroDivisionError: division by zero)")


def test_a_reward_that_every_completion_satisfies_is_found(findings: Any, plugin_file: Any) -> None:
    source = """
    import r1trl

    @r1trl.verifier
    def easy(completion: str, solution: str) -> float:
        return float(bool(completion))

    @r1trl.hookimpl
    def r1trl_rewards():
        return {"easy": easy}
    """
    texts = problems(
        findings(f"plugins.load=[{plugin_file(source)}]", "stages.zero.rewards.easy={}")
    )
    labels = ("the question repeated", "garbage", "another row's answer")
    assert [text.partition(": ")[2].partition(" gets")[0] for text in texts] == list(labels)


def test_a_prompt_that_leaves_no_room_for_the_answer_is_found(findings: Any) -> None:
    texts = problems(findings("stages.zero.args.max_completion_length=100000"))
    assert len(texts) == 1 and texts[0].startswith(
        "stages.zero.args.max_completion_length: a prompt of "
    )


def test_the_longest_prompt_of_a_source_is_looked_at(findings: Any) -> None:
    long = {"prompt": "so " * 3000, "solution": "1"}
    (problem,) = problems(findings(*FIRST_STAGE_ONLY, train=[*TRAIN * 10, long]))
    assert "do not fit into the model's context" in problem


def test_the_command_prints_notes_and_exits_with_2_if_there_are_problems(tmp_path: Path) -> None:
    overrides = ["recipe=zero", "scale=tiny", "name=x", f"runs_dir={tmp_path}", *FIRST_STAGE_ONLY]
    command = [sys.executable, "-m", "r1trl.cli", "plan", *overrides, "--preflight"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (
        "note: stages.zero_first: the prompts of problems ask for no answer format" in done.stdout
    )
    assert done.stdout.rstrip().endswith("gets the full score, and nothing else does")
    done = subprocess.run([*command, BOXED], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "error: stages.zero_first.rewards.accuracy: the gold answer gets 0 of 1" in done.stderr


@pytest.mark.parametrize(
    "recipe",
    [
        "zero",
        *(
            pytest.param(other, marks=pytest.mark.long)
            for other in ("full", "r1", "distill", "dapo", "dr_grpo")
        ),
    ],
)
@pytest.mark.parametrize("scale", ["tiny", "paper"])
def test_shipped_recipes_pass(recipe: str, scale: str, composed: Any, tmp_path: Path) -> None:
    overrides = [f"recipe={recipe}", f"scale={scale}", f"runs_dir={tmp_path}"]
    if scale == "paper":
        overrides += [*_like_the_hub(tmp_path), "scale.rl.outputs=32"]  # of the two rows there
    assert problems(preflight(make_plan(composed(*overrides)))) == []


def _like_the_hub(folder: Path) -> list[str]:
    """Return overrides that replace the paper's datasets and model by small ones of their form."""
    model = folder / "model"
    shutil.copytree(Path(r1trl_tiny.__file__).parent / "models" / "base", model)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 131072}))
    overrides = [f"model.path={model}", f"student.path={model}"]
    overrides += ["sources.problems.filters.decontaminate=null"]  # these share their questions
    return overrides + paper_data(folder)


@pytest.mark.long
def test_a_context_that_a_stage_gives_counts_for_the_stages_after_it(findings: Any) -> None:
    long = "stages.zero.args.max_completion_length=2000"
    assert len(problems(findings(long))) == 1
    assert not problems(findings(long, "stages.zero_first.max_position_embeddings=4096"))


def test_fewer_rows_than_a_rollout_takes_are_found(findings: Any) -> None:
    texts = problems(findings("scale.rl.outputs=128", *FIRST_STAGE_ONLY))
    assert texts == [
        "stages.zero_first.rollout.outputs: nothing would be trained: a rollout of 128 completions "
        "in groups of args.num_generations=8 takes 16 rows, and there are 12; give more rows, or "
        "lower rollout.outputs"
    ]
