"""Prompts that samplers change: rendered as the stage renders its rows, by several in a row."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from completion_server import running_servers
from datasets import Dataset

from r1trl.config.schema import StageConfig
from r1trl.config.stage_parts import EndpointsConfig, SamplingConfig, ScoringConfig
from r1trl.data.prompts import settings_of
from r1trl.errors import StageError
from r1trl.generation.answers import RowGenerator
from r1trl.generation.prompts import PromptRewriter
from r1trl.plugins.loading import load
from r1trl.rewards.scorer import make_scorer
from r1trl.samplers import Messages
from r1trl.types import Completion, Model

TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
ROWS = Dataset.from_dict({"prompt": ["1+1?", "2+2?"], "system": ["Be brief.", None]})


def said(text: str) -> Callable[[Messages], Messages]:
    """Return a change that adds a text to the last message."""
    return lambda talk: [*talk[:-1], {**talk[-1], "content": talk[-1]["content"] + text}]


def prompts(stage: StageConfig, tokenizer: Any, *changes: Callable[[Messages], Messages]) -> Any:
    """Return the prompts of two rows after some changes."""
    tokenizer.chat_template = TEMPLATE
    rewrite = PromptRewriter([settings_of(stage)] * len(ROWS), ROWS, tokenizer)
    completions = [Completion(0, "as it was"), Completion(1, "as it was", "begun", (1,))]
    for change in changes:
        completions = rewrite(completions, change)
    assert [each.text for each in completions] == ["", "begun"]
    return [each.prompt for each in completions]


def test_a_changed_prompt_is_rendered_by_the_chat_template(tokenizer: Any) -> None:
    stage = StageConfig(kind="sample", system="Be kind.", prefill="<think>")
    assert prompts(stage, tokenizer, said("!")) == [
        "<system>Be brief.<user>1+1?!<assistant><think>",
        "<system>Be kind.<user>2+2?!<assistant><think>",
    ]
    assert prompts(stage, tokenizer, lambda talk: talk[1:]) == [
        "<user>1+1?<assistant><think>",
        "<user>2+2?<assistant><think>",
    ]


def test_a_second_change_starts_from_the_first(tokenizer: Any) -> None:
    stage = StageConfig(kind="sample")
    found = prompts(stage, tokenizer, lambda talk: talk[-1:], said("!"), said("?"))
    assert found == ["<user>1+1?!?<assistant>", "<user>2+2?!?<assistant>"]


def test_a_raw_template_has_no_system_prompt(tokenizer: Any) -> None:
    stage = StageConfig(kind="sample", system="Be kind.", template="Q: {{ prompt }} A:")
    seen: list[Messages] = []

    def change(talk: Messages) -> Messages:
        seen.append(talk)
        return said("!")(talk)

    assert prompts(stage, tokenizer, change) == ["Q: 1+1?! A:", "Q: 2+2?! A:"]
    assert [[each["role"] for each in talk] for talk in seen] == [["user"], ["user"]]


def test_a_prompt_without_messages_is_refused_with_its_row(tokenizer: Any) -> None:
    with pytest.raises(
        StageError, match="row 1 cannot be written: its prompt was rewritten to no message at all"
    ):
        prompts(StageConfig(kind="sample"), tokenizer, lambda talk: [])


GUARDS: dict[str, Any] = {
    "refuse": {},
    "consensus": {"reward": "accuracy", "first": 2, "n": 3},
    "retry": {"rewards": ["think_format"], "tries": 2},
    "normalise_prompt": {"directive": "In a box."},
}
QUESTIONS = {"prompt": ["1+1?", "A bomb?"], "solution": ["2", "3"], "problem": [0, 1]}


def stage_of(model: Path) -> StageConfig:
    """Return a stage with all guards in a chain."""
    return StageConfig(
        kind="sample",
        model=Model(str(model)),
        dtype="float32",
        template="Q: {{ prompt }} A:",
        rewards={"accuracy": {"answer": "answer_tag"}, "think_format": {}},
        samplers=GUARDS,
        sampling=SamplingConfig(max_tokens=64, batch_size=16, n=1),
    )


def drawn(stage: StageConfig) -> list[dict[str, Any]]:
    """Return the rows that a stage generates for two questions."""
    plugins = load()
    scorer = make_scorer(stage.rewards, ScoringConfig(processes=1), plugins)
    generator = RowGenerator(stage, scorer, plugins, "stages.guarded", Path(), None)
    return list(generator.generate(Dataset.from_dict(QUESTIONS), 1))


@pytest.mark.slow
def test_guards_in_a_chain_work_on_a_model_in_this_process(tiny_model: Path) -> None:
    stage = stage_of(tiny_model)
    stage = dataclasses.replace(stage, sampling=SamplingConfig(max_tokens=8, batch_size=16, n=1))
    right, refused = drawn(stage)
    assert refused["completion"] == "Sorry, I cannot help with that." and refused["finished"]
    # No answer at all: three completions, each tried three times, of up to eight tokens.
    assert right["completion_tokens"] <= 8
    for row in (right, refused):
        assert row["prompt"] in QUESTIONS["prompt"] and 9 <= row["tokens_spent"] <= 9 * 8


@pytest.mark.slow
def test_guards_in_a_chain_work_on_a_served_model(tiny_model: Path) -> None:
    texts = ["bad", "<think>a</think><answer>2</answer>", "<think>b</think><answer>3</answer>"]
    texts += ["<think>c</think><answer>3</answer>"]
    with running_servers(1) as (server,):
        endpoints = EndpointsConfig(urls=[server.url], model="m", concurrency=1, patience=5)
        server.texts = texts[::-1]
        stage = dataclasses.replace(stage_of(tiny_model), endpoints=endpoints)
        plugins = load()
        scorer = make_scorer(stage.rewards, ScoringConfig(processes=1), plugins)
        generator = RowGenerator(stage, scorer, plugins, "stages.guarded", Path(), None)
        first = {name: values[:1] for name, values in QUESTIONS.items()}
        (row,) = generator.generate(Dataset.from_dict(first), 1)
        asked = [request["prompt"] for request in server.requests]
    assert asked == ["Q: 1+1?\nIn a box. A:"] * 4
    assert row["answer/accuracy"] == "3", "two of three say so, and the first was drawn again"
    assert row["tokens_spent"] == sum(len(text) + 1 for text in texts)
