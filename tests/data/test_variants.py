"""Training rows in other forms: drawn by the seed and the prompt, rendered each by its settings."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from stage_runs import Run

from r1trl.config.kinds import load_plugins
from r1trl.config.schema import SourceConfig, StageConfig
from r1trl.data.prompts import render_for, variation_of
from r1trl.data.rows import load_data
from r1trl.errors import StageError
from r1trl.plugins.loading import Plugins, load

PLUGIN = """
from dataclasses import replace

import r1trl

def loud(row, settings, rng):
    return {**row, "prompt": row["prompt"].upper()}, settings

def thinking(row, settings, rng, *, name: str = "thinking"):
    return row, replace(settings, chat_template_kwargs={name: True})

def told(row, settings, rng):
    return row, replace(settings, system="Be kind.")

def begun(row, settings, rng):
    return row, replace(settings, prefill="So")

def broken(row, settings, rng):
    raise KeyError("no such thing")

def loud_only(rows):
    return [None if form == "loud" else "is not loud" for form in rows["variant"]]

@r1trl.hookimpl
def r1trl_variants():
    each = loud, thinking, told, begun, broken
    return {variant.__name__: variant for variant in each}

@r1trl.hookimpl
def r1trl_filters():
    return {"loud_only": loud_only}
"""
FORMS: dict[str, Any] = {"loud": {}, "kind": {"variant": "told"}, "so": {"variant": "begun"}}
ROWS = [{"prompt": f"what is {i} + 1?", "solution": str(i + 1)} for i in range(240)]


@pytest.fixture
def plugins(plugin_file: Any) -> Plugins:
    """Return plugins with the variants and the filter above."""
    return load([plugin_file(PLUGIN)])


def jsonl(path: Path, rows: list[dict[str, Any]] = ROWS) -> str:
    """Write rows to a file; return its path."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def forms(source: SourceConfig, plugins: Plugins, stage_seed: int = 1, **more: Any) -> Any:
    """Return the variants that the rows of a source have drawn, by their prompts."""
    sources = {"sums": source, **more.pop("others", {})}
    rows, _ = load_data(sources, {}, plugins, 1, "stages.x", stage_seed=stage_seed, **more)
    return dict(zip(rows["prompt"], rows["variant"], strict=True))


def test_each_form_is_as_likely_as_the_row_as_it_is(plugins: Plugins, tmp_path: Path) -> None:
    source = SourceConfig(path=jsonl(tmp_path / "s.jsonl"), variants={**FORMS, "off": None})
    counts = Counter(forms(source, plugins).values())
    assert set(counts) == {"loud", "kind", "so", "reference"}
    assert all(35 < count < 85 for count in counts.values()), "about 60 each"


@pytest.mark.parametrize(("varied", "low", "high"), [(1.0, 240, 240), (0.25, 35, 85)])
def test_the_share_of_rows_that_get_a_form_can_be_given(
    varied: float, low: int, high: int, plugins: Plugins, tmp_path: Path
) -> None:
    source = SourceConfig(path=jsonl(tmp_path / "s.jsonl"), variants=FORMS, varied=varied)
    drawn = forms(source, plugins).values()
    assert low <= sum(form != "reference" for form in drawn) <= high


def test_a_form_depends_on_the_stages_seed_and_the_prompt_alone(
    plugins: Plugins, tmp_path: Path
) -> None:
    source = SourceConfig(path=jsonl(tmp_path / "s.jsonl"), variants=FORMS)
    drawn = forms(source, plugins)
    turned = SourceConfig(path=jsonl(tmp_path / "t.jsonl", ROWS[:9:-2]), variants=FORMS)
    others = forms(turned, plugins)
    assert len(others) == 115 and others == {prompt: drawn[prompt] for prompt in others}
    assert forms(source, plugins, stage_seed=2) != drawn
    named = SourceConfig(path=source.path, variants=dict(reversed(FORMS.items())))
    assert forms(named, plugins) == drawn
    filtered = SourceConfig(path=source.path, variants=FORMS, filters={"loud_only": {}})
    kept = forms(filtered, plugins)
    assert kept == {prompt: form for prompt, form in drawn.items() if form == "loud"}


def test_rows_of_other_sources_are_as_they_are_and_their_own_column_steps_aside(
    plugins: Plugins, tmp_path: Path
) -> None:
    own = jsonl(tmp_path / "o.jsonl", [{"prompt": "Hi?", "variant": "mine"}])
    plain = SourceConfig(path=jsonl(tmp_path / "s.jsonl"))
    varied = SourceConfig(path=own, variants=FORMS, varied=1.0)
    said: list[str] = []
    sources = {"plain": plain, "own": varied}
    rows, _ = load_data(sources, {}, plugins, 1, "stages.x", say=said.append)
    assert set(rows["variant"][:240]) == {"reference"} and rows["row/variant"][-1] == "mine"
    assert rows["variant"][-1] in FORMS
    assert said == [
        "stages.x.data.own: the rows' own column 'variant' is 'row/variant' here",
    ]
    alone, _ = load_data({"own": SourceConfig(path=own)}, {}, plugins, 1, "stages.x")
    assert alone["variant"][:] == ["mine"]


def test_rows_without_prompts_have_no_variants(plugins: Plugins, tmp_path: Path) -> None:
    path = jsonl(tmp_path / "s.jsonl", [{"text": "x"}])
    with pytest.raises(StageError, match=r"^stages\.x\.data\.sums\.variants: .* column 'prompt'"):
        forms(SourceConfig(path=path, variants=FORMS), plugins)


def rendered(drawn: list[str], plugins: Plugins, tokenizer: Any, **settings: Any) -> list[str]:
    """Return the prompts of rows that have drawn these forms."""
    variants = {name: {} for name in ("broken", "thinking")} | FORMS
    variants["unknown"] = {"variant": "thinking", "name": "thinkin"}
    data = {"sums": SourceConfig(path="s", variants=variants)}
    stage = StageConfig(kind="grpo", data=data, **settings)
    rows = Dataset.from_list(
        [{"prompt": "Hi?", "source": "sums", "variant": form} for form in drawn]
    )
    variation = variation_of(stage, None, plugins, "stages.x", 1)
    return render_for(stage, rows, tokenizer, variation=variation)["prompt"][:]


def test_each_row_is_rendered_by_the_settings_of_its_form(plugins: Plugins, tokenizer: Any) -> None:
    drawn = ["reference", "loud", "kind", "so"]
    assert rendered(drawn, plugins, tokenizer, system="Be brief.") == [
        "<|system|>Be brief.\n<|user|>Hi?\n<|assistant|>",
        "<|system|>Be brief.\n<|user|>HI?\n<|assistant|>",
        "<|system|>Be kind.\n<|user|>Hi?\n<|assistant|>",
        "<|system|>Be brief.\n<|user|>Hi?\n<|assistant|>So",
    ]
    tokenizer.chat_template = "{{ messages[0].content }}{{ ' hm' if thinking else '' }}:"
    assert rendered(["thinking", "loud"], plugins, tokenizer) == ["Hi? hm:", "HI?:"]
    template = {"template": "Q {{ prompt }} A", "prefill": "By"}
    assert rendered(["loud", "so"], plugins, tokenizer, **template) == ["Q HI? ABy", "Q Hi? ASo"]


@pytest.mark.parametrize(
    ("form", "settings", "message"),
    [
        ("broken", {}, "^stages.x.data.sums.variants.broken: of the row with the prompt \"Hi.\": "
         "KeyError: 'no such thing'"),
        ("kind", {"template": "{{ prompt }}"}, "^stages.x.data.sums.variants.kind: of the row with "
         "the prompt \"Hi.\": a raw template shows no system prompt"),
        ("unknown", {}, "^row 2 of the source 'sums' in the form 'unknown': chat_template_kwargs: "
         "the chat template reads no 'thinkin'"),
    ],
)  # fmt: skip
def test_a_form_that_cannot_be_written_is_named_with_its_key_and_row(
    form: str, settings: Any, message: str, plugins: Plugins, tokenizer: Any
) -> None:
    with pytest.raises(StageError, match=message):
        rendered(["reference", form], plugins, tokenizer, **settings)


RECIPE = """# @package _global_
defaults:
  - /stage@stages.samples: sample
  - /stage@stages.zero: grpo
  - _self_
sources:
  sums:
    path: {rows}
    variants: {{upper: {{variant: case}}, think: {{variant: prefill}}, told: {{variant: system}}}}
stages:
  samples:
    model: {model}
    dtype: float32
    data: {{sums: {{}}}}
    sampling: {{n: 1, max_tokens: 4, batch_size: 8, shard_size: 8}}
    rewards: {{accuracy: {{answer: boxed}}}}
  zero:
    model: {model}
    dtype: float32
    data: {{sums: {{}}}}
    rewards:
      tag_count: {{}}
      of_told: {{reward: tag_count, weight: 0.0, where: {{variant: told}}}}
    transitions: {{equal_rewards: null}}
    rollout: {{outputs: 32, minibatches: 1}}
    args: {{num_generations: 2, max_completion_length: 4, max_steps: 1, beta: 0.0, \
sync_ref_model: false, per_device_train_batch_size: 32}}
"""
TOLD = "<|system|>You are a helpful assistant.\n<|user|>"


def expected(question: str, form: str) -> str:
    """Return how the chat template of the tiny model writes a question in a form."""
    asked = question.upper() if form == "upper" else question
    start = TOLD if form == "told" else "<|user|>"
    return f"{start}{asked}\n<|assistant|>" + ("<think>\n" if form == "think" else "")


@pytest.mark.slow
def test_stages_draw_completions_of_rows_in_their_forms(tiny_model: Path, tmp_path: Path) -> None:
    questions = [f"how much is {letter * 2}?" for letter in "abcdefghijklmnop"]
    rows = jsonl(tmp_path / "sums.jsonl", [{"prompt": q, "solution": "1"} for q in questions])
    run = Run(tmp_path, RECIPE.format(rows=rows, model=tiny_model), "~benchmarks.held_out")
    assert run.carry_out() == 0, [run.log(name) for name in ("samples", "zero")]

    file = run.stages / "samples" / "rollouts.parquet"
    drawn = Dataset.from_parquet(str(file), cache_dir=str(tmp_path / "cache")).to_list()
    assert {row["variant"] for row in drawn} == {"upper", "think", "told", "reference"}
    for row in drawn:
        asked = questions[row["problem"]]
        assert row["prompt"] == (asked.upper() if row["variant"] == "upper" else asked)
        assert row["completion"].startswith("<think>\n") is (row["variant"] == "think")

    text = (run.stages / "zero" / "completions.jsonl").read_text()
    trained = [json.loads(line) for line in text.splitlines()]
    assert len({row["variant"] for row in trained}) > 2
    for row in trained:
        assert row["prompt"] in {expected(q, row["variant"]) for q in questions}
        assert (row["rewards/of_told"] is not None) is (row["variant"] == "told")
    kept = Dataset.from_parquet(str(run.stages / "zero" / "data" / "rows.parquet"))
    assert kept["prompt"][:] == questions, "filters and data/ have the questions as they are"


def test_a_source_whose_variants_are_all_dropped_has_none() -> None:
    data = {"sums": SourceConfig(path="s", variants={"off": None})}
    stage = StageConfig(kind="grpo", data=data)
    assert variation_of(stage, None, load_plugins(), "stages.x", 1) is None
