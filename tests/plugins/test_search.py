"""Inference-time methods, with a policy that generates from a script and counts its tokens."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from r1trl_guards.consensus import Consensus
from r1trl_guards.normalise import NormalisePrompt
from r1trl_guards.refuse import Refuse
from r1trl_guards.retry import Retry
from r1trl_search.beam import BeamSearch
from r1trl_search.choice import BestOfN, MajorityVote, majority_index
from r1trl_search.thinking import BudgetForcing, ThinkPrefill
from r1trl_search.tree import Node, TreeSearch
from scripted_policy import Script, empty

from r1trl import Completion
from r1trl.plugins.loading import load


def test_best_of_n_returns_the_best_with_the_cost_of_all() -> None:
    policy = Script({"": ["a.", "bcd.", "c.", "d."]}, {"bcd": 0.9, "c": 0.9, "d": None})
    first, second = BestOfN(reward="judge", n=4).generate(empty(2), policy)
    assert (first.row, first.text, first.finished, first.generated_tokens) == (
        0,
        "bcd",
        True,
        100 + 10,
    )
    assert (second.row, second.text) == (1, "bcd")


def test_a_candidate_without_a_score_is_never_best() -> None:
    policy = Script({"": ["a.", "b."]}, {"a": None, "b": -7.0})
    assert BestOfN(reward="judge", n=2).generate(empty(), policy)[0].text == "b"


def test_majority_vote_returns_the_first_with_the_commonest_answer() -> None:
    policy = Script({"": ["x1.", "y2.", "z2.", "w?."]})
    found = MajorityVote(n=4).generate(empty(), policy)[0]
    assert (found.text, found.generated_tokens) == ("y2", 100 + 12)


@pytest.mark.parametrize(
    ("answers", "index"),
    [
        ([None, "a", "b", "b"], 2),
        (["a", "b", "b", "a"], 0),
        ([None, None], 0),
        (["a"], 0),
        ([None, "z"], 1),
    ],
)
def test_the_majority_is_the_first_of_the_commonest(answers: list[str | None], index: int) -> None:
    assert majority_index(answers) == index


def test_a_prefill_begins_the_completion_and_costs_nothing() -> None:
    found = ThinkPrefill(text="T").generate(empty(), Script({"T": ["abc."]}))[0]
    assert (found.text, found.generated_tokens, found.finished) == ("Tabc", 104, True)


def test_a_prefill_does_not_open_the_thinking_again() -> None:
    opened = [replace(each, prompt="Q <think>\n") for each in empty()]
    for text, added in (("<think>\n", ""), ("<think>\nOK ", "OK ")):
        found = ThinkPrefill(text=text).generate(opened, Script({added: ["abc."]}))[0]
        assert found.text == f"{added}abc"
    found = ThinkPrefill().generate(empty(), Script({"<think>\n": ["abc."]}))[0]
    assert found.text == "<think>\nabc"


THOUGHT = {"": ["so>A."], "so+": ["hm>A."], "so+hm+": ["ah>A."], "so+hm>": ["B."]}


def test_thinking_is_lengthened_as_often_as_num_waits() -> None:
    lines = {**THOUGHT, "so>": ["A."], "so+hm+ah>": ["C."]}
    for waits, text in ((1, "so+hm>B"), (2, "so+hm+ah>C")):
        sampler = BudgetForcing(num_waits=waits, wait_text="+", end_text=">")
        assert sampler.generate(empty(), Script(lines))[0].text == text


def test_a_completion_that_never_ends_its_thinking_stays_as_it_is() -> None:
    sampler = BudgetForcing(num_waits=3, wait_text="+", end_text=">")
    found = sampler.generate(empty(), Script({"": ["abc."]}))[0]
    assert (found.text, found.finished) == ("abc", True)


def test_thinking_is_cut_short_at_its_budget() -> None:
    policy = Script({"": ["long thought>A."], "long>": ["B."]})
    found = BudgetForcing(max_thinking_tokens=4, end_text=">").generate(empty(), policy)[0]
    assert (found.text, found.finished, found.generated_tokens) == ("long>B", True, 100 + 4 + 2)
    within = Script({"": ["so>A."], "so>": ["A."]})
    assert (
        BudgetForcing(max_thinking_tokens=4, end_text=">").generate(empty(), within)[0].text
        == "so>A"
    )


TREE = {
    "": ["a\n", "b\n"],
    "a\n": ["x.", "y."],
    "b\n": ["c\n", "d\n"],
    "b\nc\n": ["u.", "v."],
    "b\nd\n": ["w."],
}
SCORES = {"a\n": 0.2, "b\n": 0.5, "a\nx": 0.3, "a\ny": 0.1, "b\nc\n": 0.4, "b\nd\n": 0.6}
SCORES |= {"b\nc\nu": 0.2, "b\nc\nv": 0.1, "b\nd\nw": 1.0}


def test_beam_search_keeps_the_best_completions_of_every_step() -> None:
    policy = Script(TREE, SCORES)
    found = BeamSearch(reward="judge", beam_width=1, branches=2).generate(empty(), policy)[0]
    assert (found.text, found.finished) == ("b\nd\nw", True)
    assert found.generated_tokens == 100 + (2 + 2) + (2 + 2) + 2 * len("w.")
    assert "a\nx" not in policy.scored, "a dropped beam is not continued"


def test_a_finished_beam_wins_over_worse_unfinished_ones() -> None:
    scores = {"a\n": 0.2, "b\n": 0.5, "a\nx": 0.9, "b\nc\n": 0.4}
    policy = Script(TREE, scores)
    found = BeamSearch(reward="judge", beam_width=2, branches=2).generate(empty(), policy)[0]
    assert found.text == "a\nx"


def test_beam_search_ends_if_no_beam_grows_and_completes_the_best_after_its_last_step() -> None:
    stuck = Script({"": ["a\n"]}, {"a\n": 1.0})
    assert BeamSearch(reward="judge").generate(empty(), stuck)[0].text == "a\n"
    long = Script({"": ["a\n"], "a\n": ["b\nc."]}, {"a\n": 1.0})
    found = BeamSearch(reward="judge", steps=1, beam_width=1, branches=1).generate(empty(), long)[0]
    assert (found.text, found.finished, found.generated_tokens) == ("a\nb\nc", True, 100 + 2 + 4)


def test_tree_search_finds_the_best_completion_and_counts_every_generated_token() -> None:
    policy = Script({**TREE, "b\nc\n": ["u."]}, SCORES)
    found = TreeSearch(reward="judge", rollouts=12).generate(empty(), policy)[0]
    assert found.text == "b\nd\nw"
    assert found.generated_tokens > 100 + 12


def test_tree_search_selects_the_leaf_with_the_highest_values() -> None:
    root = Node(Completion(0, "p"))
    root.children = [Node(Completion(0, "p", "a"), root), Node(Completion(0, "p", "b"), root)]
    for value in (0.0, 0.0, 0.1):
        root.children[0].backpropagate(value)
    assert root.select_leaf(1.0) is root.children[1], "a node without visits comes first"
    for value in (1.0, 0.9, 1.0):
        root.children[1].backpropagate(value)
    assert root.select_leaf(0.1) is root.children[1]
    assert (root.visits, root.total) == (6, 3.0)


def test_tree_search_without_any_score_still_returns_a_completion() -> None:
    policy = Script({"": ["a."]}, {"a": None})
    found = TreeSearch(reward="judge", rollouts=3).generate(empty(2), policy)
    assert [each.text for each in found] == ["a", "a"]


SAMPLERS: dict[str, Any] = {
    "best_of_n": BestOfN(reward="judge"),
    "majority_vote": MajorityVote(),
    "think_prefill": ThinkPrefill(),
    "budget_forcing": BudgetForcing(num_waits=1),
    "beam_search": BeamSearch(reward="judge"),
    "tree_search": TreeSearch(reward="judge"),
    "consensus": Consensus(),
    "normalise_prompt": NormalisePrompt(),
    "refuse": Refuse(),
    "retry": Retry(rewards=["judge"]),
}


OFFERED = load().offers["sampler"]
GENERATING = sorted(name for name, offer in OFFERED.items() if hasattr(offer.target, "generate"))


def test_every_generate_sampler_is_tested_here() -> None:
    assert sorted(SAMPLERS) == GENERATING


@pytest.mark.parametrize("name", GENERATING)
def test_one_completion_in_is_one_completion_out_with_its_cost(name: str) -> None:
    class Ends(Script):
        def _continued(
            self, before: Completion, max_tokens: int | None, stop: Sequence[str]
        ) -> Completion:
            text, cost = f"{before.text}a", before.generated_tokens + 1
            ids = tuple(map(ord, text))
            return replace(before, text=text, token_ids=ids, finished=True, generated_tokens=cost)

    (found,) = SAMPLERS[name].generate(empty(), Ends({}))
    assert (found.row, found.finished) == (0, True) and "prompt" in found.prompt
    assert found.text.endswith("a") and found.generated_tokens > 100


@pytest.mark.parametrize("name", GENERATING)
def test_no_completions_and_finished_completions_are_fine(name: str) -> None:
    assert SAMPLERS[name].generate([], Script({})) == []
    done = Completion(3, "prompt", "abc", (1, 2, 3), finished=True, generated_tokens=7)
    found = SAMPLERS[name].generate([done], Script({}))[0]
    assert (found.row, found.finished, found.generated_tokens) == (3, True, 7)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BestOfN(reward="judge", n=0), "n must be 1 or more, not 0"),
        (lambda: MajorityVote(n=0), "n must be 1 or more, not 0"),
        (lambda: BeamSearch(reward="judge", beam_width=0), "beam_width must be 1 or more, not 0"),
        (
            lambda: BeamSearch(reward="judge", step_ends=[]),
            "nothing ends a step: give step_ends or max",
        ),
        (lambda: BeamSearch(reward="judge", step_ends=[""]), "an empty text ends no step"),
        (lambda: TreeSearch(reward="judge", rollouts=0), "rollouts must be 1 or more, not 0"),
        (
            lambda: TreeSearch(reward="judge", max_step_tokens=0),
            "max_step_tokens must be 1 or more, not 0",
        ),
        (
            lambda: BudgetForcing(),
            "give num_waits, 1 or more, to lengthen thinking, or max_thinking_tokens",
        ),
        (
            lambda: BudgetForcing(num_waits=1, max_thinking_tokens=9),
            "give num_waits, 1 or more, to lengthen thinking",
        ),
        (
            lambda: BudgetForcing(max_thinking_tokens=0),
            "max_thinking_tokens must be 1 or more, not 0",
        ),
    ],
)
def test_impossible_options_are_named(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
