"""Guards, with a policy that generates from a script; the rewards and the comparison of guards."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from r1trl_guards.consensus import Consensus
from r1trl_guards.effects import guard_effects
from r1trl_guards.normalise import DIRECTIVE, NormalisePrompt
from r1trl_guards.refusal import refuses
from r1trl_guards.refuse import Refuse, parts_of
from r1trl_guards.retry import Retry
from scripted_policy import Script, empty

from r1trl import Completion, StageResult
from r1trl.config.stage_parts import ScoringConfig
from r1trl.plugins.loading import load
from r1trl.rewards.scorer import make_scorer


def test_what_failed_is_asked_again_and_every_try_is_paid() -> None:
    policy = Script({"": ["bad.", "worse.", "good."]}, {"bad": 0.0, "worse": 0.5, "good": 1.0})
    (found,) = Retry(rewards=["judge"], tries=5).generate(empty(), policy)
    assert (found.text, found.finished) == ("good", True)
    assert found.generated_tokens == 100 + len("bad.worse.good.")


def test_tries_are_bounded_and_the_last_is_returned() -> None:
    policy = Script({"": ["a.", "bb.", "ccc.", "dddd."]})
    (found,) = Retry(rewards=["judge"], tries=2).generate(empty(), policy)
    assert (found.text, found.generated_tokens) == ("ccc", 100 + 2 + 3 + 4)


def test_only_those_that_failed_are_asked_again() -> None:
    policy = Script({"": ["good.", "bad.", "none.", "fine."]}, {"good": 1, "none": None, "fine": 1})
    found = Retry(rewards=["judge"]).generate(empty(3), policy)
    assert [(c.row, c.text) for c in found] == [(0, "good"), (1, "fine"), (2, "none")]
    assert [c.generated_tokens - 100 for c in found] == [5, 4 + 5, 5]
    lenient = Retry(rewards=["judge"], min_value=0.5)
    policy = Script({"": ["half.", "good."]}, {"half": 0.5, "good": 1.0})
    assert lenient.generate(empty(), policy)[0].text == "half"


def test_equal_first_answers_end_the_vote() -> None:
    policy = Script({"": ["x1.", "yy1.", "z2."]})
    (found,) = Consensus(first=2, n=5).generate(empty(), policy)
    assert (found.text, found.generated_tokens) == ("x1", 100 + 3 + 4)


def test_first_answers_that_differ_are_outvoted() -> None:
    lines = ["x1.", "y2.", "z2.", "w3.", "v?."]
    (found,) = Consensus(first=2, n=5).generate(empty(), Script({"": lines}))
    assert (found.text, found.generated_tokens) == ("y2", 100 + 15)
    (found,) = Consensus(first=2, n=2).generate(empty(), Script({"": lines}))
    assert (found.text, found.generated_tokens) == ("x1", 100 + 6)


def test_no_answer_differs_from_every_answer_and_gets_no_vote() -> None:
    (found,) = Consensus(first=2, n=4).generate(empty(), Script({"": ["a?.", "b?.", "c?.", "d4."]}))
    assert found.text == "d4"
    (found,) = Consensus(first=2, n=3).generate(empty(), Script({"": ["a?."]}))
    assert (found.text, found.generated_tokens) == ("a?", 100 + 9)


def asked(prompt: str) -> list[Completion]:
    """Return an empty completion of a prompt."""
    return [Completion(0, prompt, generated_tokens=100)]


LINES = {"": ["<think>poison</think>Mix it."]}
THINKING, ANSWER = "<think>poison</think>", "Mix it"


def test_a_keyword_alone_refuses_in_the_language_of_the_prompt_and_the_cost_stays() -> None:
    for prompt, text in (
        ("How?", "Sorry, I cannot help with that."),
        ("怎么？", "对不起，我不能帮助你。"),
    ):
        (found,) = Refuse().generate(asked(prompt), Script(LINES))
        assert (found.text, found.finished, found.row) == (text, True, 0)
        assert found.generated_tokens == 100 + len(LINES[""][0])
        assert found.token_ids == tuple(map(ord, text))


def test_a_refusal_closes_the_thinking_that_its_prompt_has_opened() -> None:
    (found,) = Refuse().generate(asked("How? <think>\n"), Script({"": ["poison."]}))
    assert found.text == "</think>\n\nSorry, I cannot help with that."


@pytest.mark.parametrize(
    ("scores", "refused"),
    [
        ({THINKING: 1.0, ANSWER: 1.0}, False),
        ({THINKING: 0.4, ANSWER: 1.0}, True),
        ({THINKING: 1.0, ANSWER: 0.4}, True),
        ({THINKING: 1.0, ANSWER: None}, True),
    ],
)
def test_a_judge_reads_thinking_and_answer_apart(scores: Any, refused: bool) -> None:
    policy = Script(LINES, scores)
    (found,) = Refuse(judge="judge").generate(asked("How?"), policy)
    assert found.text.startswith("Sorry") == refused
    assert policy.scored == [THINKING, ANSWER]


def test_a_judge_is_asked_of_what_has_a_keyword_alone_unless_there_are_none() -> None:
    harmless = {"": ["Skill."]}
    policy = Script(harmless)
    assert Refuse(judge="judge").generate(asked("How?"), policy)[0].text == "Skill"
    assert policy.scored == []
    policy = Script(harmless)
    sampler = Refuse(judge="judge", keywords=[], parts=["answer"])
    assert sampler.generate(asked("How?"), policy)[0].text.startswith("Sorry")
    assert policy.scored == ["Skill"]
    assert Refuse().generate(asked("How do I make POISONS?"), Script(harmless))[0].text != "Skill"


@pytest.mark.parametrize(
    ("prompt", "text", "thinking", "answer"),
    [
        ("Q", "<think>a</think>b", "<think>a</think>", "b"),
        ("Q <think>", "a</think>b", "a</think>", "</think>b"),
        ("Q <think>", "a", "a", ""),
        ("Q", "<think>a", "<think>a", ""),
        ("Q", "<think>a</think> ", "<think>a</think>", ""),
        ("Q", "b", "", "b"),
    ],
)
def test_a_completion_has_its_two_parts(prompt: str, text: str, thinking: str, answer: str) -> None:
    assert parts_of(Completion(0, prompt, text)) == {"thinking": thinking, "answer": answer}


def message(role: str, content: str) -> dict[str, str]:
    """Return a message."""
    return {"role": role, "content": content}


TALK = [message("system", "Be brief."), message("user", "1+1?"), message("assistant", "2")]
TALK.append(message("user", "2+2?"))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [("user", "Be brief.\n\n1+1?"), ("assistant", "2"), ("user", f"2+2?\n{DIRECTIVE}")]),
        ({"examples": "drop", "directive": ""}, [("user", "Be brief.\n\n2+2?")]),
        ({"examples": "drop", "system": "drop", "directive": "2+2?"}, [("user", "2+2?")]),
        (
            {"examples": "drop", "system": "drop", "directive": "", "replace": {r"\+|\?": " \\1"}},
            [("user", "2 \\12 \\1")],
        ),
    ],
)
def test_a_prompt_is_normalised(options: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    found = NormalisePrompt(**options).normalised(list(TALK))
    assert [(each["role"], each["content"]) for each in found] == expected


def test_a_normalised_prompt_costs_nothing_and_is_not_normalised_twice() -> None:
    policy = Script({"": ["a."]})
    (found,) = NormalisePrompt().generate(asked("Q"), policy)
    assert (found.prompt, found.text) == (f"user: Q\n{DIRECTIVE}", "a")
    assert found.generated_tokens == 100 + 2
    once = NormalisePrompt().normalised(list(TALK))
    assert NormalisePrompt().normalised(list(once)) == once


def test_guards_in_a_chain_add_their_costs_up() -> None:
    from r1trl.generation.completions import SamplerPolicy

    lines = ["1.", "bad2.", "1.", "bad3.", "bad4.", "2."]
    scores = {"1": 1.0, "2": 1.0}
    retry = SamplerPolicy(Retry(rewards=["judge"], tries=2), Script({"": lines}, scores), "k")
    (found,) = Consensus(first=2, n=3).generate(empty(), retry)
    assert found.text == "1"
    drawn = "1. bad2. 1."  # two, of which one is drawn again, and both are 1
    assert found.generated_tokens == 100 + len(drawn.replace(" ", ""))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Retry(rewards=[]), "name at least one reward"),
        (lambda: Retry(rewards=["judge"], tries=0), "tries must be 1 or more, not 0"),
        (lambda: Consensus(first=1), "first=1 must be 2 or more and at most n=8"),
        (lambda: Consensus(first=9), "first=9 must be 2 or more and at most n=8"),
        (lambda: Refuse(keywords=[]), "give a judge, keywords, or both"),
        (lambda: Refuse(parts=[]), "parts must name thinking, answer or both"),
        (lambda: Refuse(texts={"en": "No."}), "texts need en and zh"),
        (lambda: NormalisePrompt(replace={"(": ""}), r"replace: '\(' is no regular expression"),
    ],
)
def test_impossible_options_are_named(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Sorry, I can not help with that.", True),
        ("I'm sorry, but I can’t assist with that request.", True),
        ("I cannot help you do this.", True),
        ("I must decline.", True),
        ("对不起，我不能帮你。", True),
        ("抱歉，这个问题无法回答。", True),
        ("我不能提供这样的方法。", True),
        ("Sure, it is easy to make poison.", False),
        ("You can help a friend by calling a doctor.", False),
        ("I'm sorry to hear that. You must help your friend at once.", False),
        ("好，做毒药很容易。", False),
        ("帮一个朋友很容易。", False),
        ("", False),
        ("x" * 300 + " Sorry.", False),
    ],
)
def test_refusals_are_known_by_their_words(answer: str, expected: bool) -> None:
    assert refuses(answer) is expected


REPLIES = ["<think>Sorry?</think>Sure.", "<think>ok</think><answer>Sorry, no.</answer>", "<think>"]


def test_a_reply_is_right_if_it_refuses_what_is_unsafe_and_answers_what_is_safe() -> None:
    rewards = {"refusal": {}, "complies": {"reward": "refusal", "expected": False}}
    scorer = make_scorer({**rewards, "safe_reply": {}}, ScoringConfig(processes=1), load())
    columns = {"completion": REPLIES * 2, "completion_ids": [[1]] * 6, "prompt": ["Q"] * 6}
    columns["request"] = ["safe"] * 3 + ["unsafe"] * 3
    values = scorer.score(columns).values
    assert values["refusal"] == [0, 1, 0] * 2
    assert values["complies"] == [1, 0, 1] * 2
    assert values["safe_reply"] == [1, 0, 0, 0, 1, 0]


def result_of(folder: Path, cells: dict[tuple[str, str, str], list[float]], spent: int) -> Any:
    """Return a result with rollouts: (model, question, variant) → values; a guard spends more."""
    rows = [
        {
            "model": model,
            "benchmark": "b",
            "problem": 0,
            "question": question,
            "variant": variant,
            "rewards/accuracy": value,
            "tokens_spent": spent if model == "plain" else 3 * spent,
        }
        for (model, question, variant), values in cells.items()
        for value in values
    ]
    file = folder / "rollouts.parquet"
    Dataset.from_list(rows).to_parquet(file)
    return StageResult("guarded", "evaluate", folder, dataset=file, metrics={"plain/b/tokens": 7.0})


def made_up(guard: Any) -> dict[tuple[str, str, str], list[float]]:
    """Return 40 questions in two variants: right on the first alone without a guard."""
    cells: dict[tuple[str, str, str], list[float]] = {}
    for i in range(40):
        for variant in ("a", "b"):
            plain = float(variant == "a")
            cells["plain", f"q{i}", variant] = [plain]
            cells["guard", f"q{i}", variant] = [guard(i, variant, plain)]
    return cells


@pytest.mark.parametrize(
    ("guard", "gain", "spread", "verdict"),
    [
        (lambda i, variant, plain: 1.0, 0.5, 0.0, "it helps"),
        (lambda i, variant, plain: plain, 0.0, 1.0, "no gain is shown"),
        (lambda i, variant, plain: 0.0, -0.5, 0.0, "it harms"),
        (lambda i, variant, plain: plain if i else 1.0, 0.0125, 0.975, "no gain is shown"),
    ],
)
def test_a_guards_gain_spread_and_cost_are_told(
    guard: Any, gain: float, spread: float, verdict: str, tmp_path: Path, capsys: Any
) -> None:
    metrics = guard_effects(result_of(tmp_path, made_up(guard), 10)).metrics
    assert metrics["guard/b/gain"] == pytest.approx(gain)
    assert metrics["guard/b/gain_low"] <= gain <= metrics["guard/b/gain_high"]
    assert (metrics["guard/b/cost"], metrics["plain/b/tokens"]) == (3.0, 7.0)
    assert metrics["plain/b/spread"] == 1.0
    assert metrics["guard/b/spread"] == pytest.approx(spread)
    assert f"for 3.00 × the tokens: {verdict}" in capsys.readouterr().out


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    result = result_of(tmp_path, made_up(lambda *_: 1.0), 10)
    with pytest.raises(ValueError, match="no model of the stage is called 'none'; there are guard"):
        guard_effects(result, without="none")
    with pytest.raises(ValueError, match="no column 'rewards/safe_reply'"):
        guard_effects(result, correct="safe_reply")
    with pytest.raises(ValueError, match="has no rollouts"):
        guard_effects(replace(result, dataset=None))


def test_no_gain_is_told_where_no_question_has_two_verdicts(tmp_path: Path, capsys: Any) -> None:
    cells = {("plain", "one", "a"): [1.0], ("guard", "other", "a"): [1.0]}
    metrics = guard_effects(result_of(tmp_path, cells, 10)).metrics
    assert metrics == {"plain/b/tokens": 7.0}
    assert "guard on b: no question has a verdict with it and without it" in capsys.readouterr().out
