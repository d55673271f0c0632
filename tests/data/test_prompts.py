"""Prompts as the model reads them: variables, tools, thinking opened once, what rewards get."""

from collections.abc import Mapping
from typing import Any

import pytest
from datasets import Dataset
from label_cases import tokenizer_of

from r1trl import StageError
from r1trl.chat.thinking import RowError, continuation
from r1trl.config.schema import StageConfig
from r1trl.data.prompts import render_for
from r1trl.plugins.trl_form import texts_or_messages
from r1trl.rewards.texts import scored_text, with_prefill

SYSTEM = {"role": "system", "content": "Be brief."}
TALK = [
    {"role": "user", "content": "Hi?"},
    {"role": "assistant", "content": "Ho."},
    {"role": "user", "content": "And?"},
]
NO_THOUGHT = "<think>\n\n</think>\n\n"


def rendered(
    name: str, *rows: Mapping[str, Any], answered: bool = False, **settings: Any
) -> dict[str, Any]:
    """Return the columns of rows that are rendered for a stage with settings."""
    stage = StageConfig(kind="x", **settings)
    dataset = Dataset.from_list([dict(row) for row in rows])
    return render_for(stage, dataset, tokenizer_of(name), answered=answered).to_dict()


@pytest.mark.parametrize(
    ("prompt", "text", "expected"),
    [
        # The prompt opens the thinking.
        ("Q<think>\n", "<think>\nOne.</think> 1", "One.</think> 1"),
        ("Q<think>\n", "<think> One.</think> 1", "One.</think> 1"),
        ("Q<think>\n", "One.</think> 1", "One.</think> 1"),
        ("Q<think>", "<think>\nOne.</think> 1", "\nOne.</think> 1"),
        ("Q<think>\n", "1", "\n</think>\n\n1"),
        ("Q<think>", "1", "</think>1"),
        ("Q<think>\n", "<think>\n\n</think>\n\n1", "</think>\n\n1"),
        # It does not: a teacher's prompt may have.
        ("Q", "One.\n</think>\n\n1", "<think>\nOne.\n</think>\n\n1"),
        ("Q", "\nOne.</think> 1", "<think>\nOne.</think> 1"),
        ("Q", "<think>One.</think> 1", "<think>One.</think> 1"),
        ("Q", "Well. <think>One.</think> 1", "Well. <think>One.</think> 1"),
        ("Q", "1", "1"),
        # The question speaks of the tag.
        ("What is <think>?", "1", "1"),
        # It has ended the thinking.
        (f"Q{NO_THOUGHT}", "1", "1"),
        (f"Q{NO_THOUGHT}", f"{NO_THOUGHT}1", "1"),
    ],
)
def test_the_thinking_is_opened_once(prompt: str, text: str, expected: str) -> None:
    assert continuation(prompt, text) == expected
    if "</think>" in expected:
        assert (prompt + expected).count("<think>") == 1


@pytest.mark.parametrize("text", ["<think>One.</think> 1", "One.</think> 1"])
def test_thinking_after_its_end_is_refused(text: str) -> None:
    with pytest.raises(RowError, match="the prompt ends the thinking before the answer"):
        continuation(f"Q{NO_THOUGHT}", text)


def test_a_text_that_was_cut_off_may_end_inside_its_thinking() -> None:
    assert continuation("Q<think>\n", "<think>\nOne", finished=False) == "One"
    assert continuation("Q<think>\n", "One", finished=False) == "One"


@pytest.mark.parametrize(
    ("name", "template", "expected"),
    [
        ("r1_distill", None, "<|User|>Hi?<|Assistant|><think>\n"),
        ("chatml", "Q {{ prompt }} <think>\n", "Q Hi? <think>\n"),
        ("chatml", "Q {{ prompt }} ", "Q Hi? <think>\n"),
    ],
)
def test_a_prefill_does_not_open_the_thinking_again(
    name: str, template: str | None, expected: str
) -> None:
    [prompt] = rendered(name, {"prompt": "Hi?"}, template=template, prefill="<think>\n")["prompt"]
    assert prompt == expected
    [more] = rendered(name, {"prompt": "Hi?"}, template=template, prefill="<think>\nOK")["prompt"]
    assert more == expected + "OK"


def test_the_variables_of_a_chat_template_are_the_stages_then_the_rows() -> None:
    off = {"enable_thinking": False}
    own = {"prompt": "Hi?", "chat_template_kwargs": {"enable_thinking": True}}
    plain = {"prompt": "Hi?", "chat_template_kwargs": None}
    first, second = rendered("qwen3", plain, own, chat_template_kwargs=off)["prompt"]
    assert first.endswith(f"assistant\n{NO_THOUGHT}") and second.endswith("assistant\n")


def test_a_variable_that_the_chat_template_does_not_read_is_refused() -> None:
    with pytest.raises(StageError, match=r"no 'enable_thinkin' \(did you mean 'enable_thinking'"):
        rendered("qwen3", {"prompt": "Hi?"}, chat_template_kwargs={"enable_thinkin": False})
    with pytest.raises(StageError, match="reads no 'tools'"):
        rendered("qwen3", {"prompt": "Hi?"}, chat_template_kwargs={"tools": []})


def test_the_tools_of_a_row_are_in_its_prompt() -> None:
    row = {"prompt": TALK, "tools": '[{"type": "function", "function": {"name": "add"}}]'}
    assert '"name": "add"' in rendered("qwen3", row)["prompt"][0]
    with pytest.raises(StageError, match=r"row 1 cannot be written: .* leaves out the tool 'add'"):
        rendered("chatml", row)


def test_a_system_prompt_that_the_template_drops_is_refused() -> None:
    with pytest.raises(StageError, match=r"row 1 cannot be written: .*System role not supported"):
        rendered("gemma", {"prompt": "Hi?"}, system="Be brief.")


def test_earlier_turns_and_the_system_prompt_reach_a_reward() -> None:
    def reward(
        completions: list[list[dict[str, str]]], prompts: list[Any], **_: Any
    ) -> list[float]:
        return [0.0]

    columns = rendered("chatml", {"prompt": TALK}, system="Be brief.")
    assert columns["question"] == ["And?"]
    assert columns["conversation"] == [[SYSTEM, *TALK]]
    seen = texts_or_messages(reward, {**columns, "completion": ["1"]})
    assert seen["prompts"] == [[SYSTEM, *TALK]]


@pytest.mark.parametrize(
    ("name", "start"),
    [("chatml", "<think>\nOne.\n</think>\n\n"), ("r1_distill", "One.\n</think>\n\n")],
)
def test_responses_of_messages_become_texts_after_their_prompt(name: str, start: str) -> None:
    row = {
        "prompt": TALK,
        "chosen": [{"role": "assistant", "content": "1", "reasoning_content": "One."}],
        "rejected": [{"role": "assistant", "content": "2"}],
    }
    columns = rendered(name, row, answered=True)
    assert columns["chosen"] == [f"{start}1"]
    assert columns["rejected"] == ["2" if name == "chatml" else "\n</think>\n\n2"]
    summary = scored_text(columns["prompt"][0], columns["chosen"][0], "summary")
    assert summary.endswith("1") and "One." not in summary


def test_a_student_of_another_template_learns_to_open_the_thinking_of_its_teacher() -> None:
    teacher = rendered("r1_distill", {"prompt": "Hi?"})["prompt"][0]
    drawn = "One.\n</think>\n\n1"
    student = rendered("chatml", {"prompt": "Hi?", "completion": drawn}, answered=True)
    texts = (
        with_prefill(teacher, drawn),
        with_prefill(student["prompt"][0], student["completion"][0]),
    )
    assert texts[0] == texts[1] == f"<think>\n{drawn}"


def test_a_history_is_refused_for_a_raw_template_that_would_lose_it() -> None:
    with pytest.raises(StageError, match=r"row 1 .* one question .* user, assistant, user"):
        rendered("chatml", {"prompt": TALK}, template="Q: {{ prompt }} A:")
    asked = rendered("chatml", {"prompt": TALK[2:]}, template="Q: {{ prompt }} A:")
    assert asked["prompt"] == ["Q: And? A:"]
