"""The models of a stage, looked at before it runs: which are not there, what a stage changes."""

from pathlib import Path
from typing import Any

import pytest
from awkward_models import awkward_model

from r1trl.plan.plan import make_plan
from r1trl.trust.gold_checks import Finding
from r1trl.trust.lengths import check_models

KEY = "stages.zero_first"
CHAT = (f"{KEY}.template=null", f"{KEY}.prefill=''")


@pytest.fixture
def found(composed: Any, tmp_path: Path) -> Any:
    """Return a function that looks at the models of the first stage of recipe zero."""

    def look(*overrides: str) -> list[Finding]:
        fixed = ("recipe=zero", "scale=tiny", f"runs_dir={tmp_path}", *overrides)
        plan = make_plan(composed(*fixed))
        return list(check_models(plan, plan.stages[0]))

    return look


def test_the_end_token_that_a_chat_template_brings_is_noted(found: Any, tmp_path: Path) -> None:
    model = awkward_model("qwen25_base", tmp_path)
    [note] = found(*CHAT, f"{KEY}.model={model}")
    said = f"{KEY}.model: {model}: the end token is '<|im_end|>', as in the chat template, not the"
    assert not note.wrong and note.text.startswith(said)
    assert found(f"{KEY}.model={model}") == []  # a raw template


def test_tokens_without_embeddings_are_noted(found: Any, tmp_path: Path) -> None:
    model = awkward_model("few_embeddings", tmp_path)
    [note] = found(f"{KEY}.model={model}")
    assert not note.wrong and "has no embeddings for 2 of its tokens, such as '<" in note.text


def test_generation_settings_that_cannot_be_read_are_found(found: Any, tmp_path: Path) -> None:
    model = awkward_model("chatml", tmp_path)
    (model / "generation_config.json").write_text('{"num_return_sequences": 3}')
    [problem] = found(f"{KEY}.model={model}")
    assert problem.wrong and problem.text.startswith(f"{KEY}.model: Greedy methods")


def test_a_model_that_is_not_there_is_found(found: Any) -> None:
    [problem] = found(f"{KEY}.model=nobody/nothing")
    assert problem.wrong and problem.text.startswith(
        f"{KEY}.model: there is no folder nobody/nothing; it is not in the Hub's cache either, and"
    )


def test_a_model_that_a_reward_loads_is_looked_for_and_a_judge_behind_a_server_is_not(
    found: Any,
) -> None:
    [note] = found(f"{KEY}.rewards.rm={{reward: reward_model, model: no/such}}")
    assert note.text.startswith(f"{KEY}.rewards.rm.model: there is no folder no/such; it is not in")
    assert not note.wrong
    assert (
        found(f"{KEY}.rewards.judge={{reward: llm_judge, model: no/such, url: 'http://a/v1'}}")
        == []
    )
