"""Inference-time methods, on a made-up policy that draws from a script and counts its tokens."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from r1trl_search.beam import BeamSearch
from r1trl_search.choice import BestOfN, MajorityVote, elected
from r1trl_search.thinking import BudgetForcing, ThinkPrefill
from r1trl_search.tree import Node, TreeSearch

from r1trl import Completion
from r1trl.plugins.loading import load


class Script:
    """A policy over letters: draft number k goes on with the k-th of the lines given for its text.

    Every letter is a token; "." is the end token. Rewards look a text up in `worth`.
    """

    def __init__(self, lines: dict[str, list[str]], worth: dict[str, float | None] | None = None):
        self.lines, self.worth, self.asked = lines, worth or {}, dict[str, int]()
        self.scored: list[str] = []

    def draw(
        self,
        drafts: Sequence[Completion],
        *,
        max_tokens: int | None = None,
        stop: Sequence[str] = (),
    ) -> list[Completion]:
        """Write on from the script."""
        return [self._drawn(draft, max_tokens, stop) for draft in drafts]

    def _drawn(self, draft: Completion, max_tokens: int | None, stop: Sequence[str]) -> Completion:
        if draft.finished:
            return draft
        known = self.lines.get(draft.text, [])
        turn = self.asked.get(draft.text, 0)
        self.asked[draft.text] = turn + 1
        new = (known[turn % len(known)] if known else "")[:max_tokens]
        stopped = next((mark for mark in stop if mark in new), None)
        text = draft.text + (new.partition(stopped)[0] if stopped else new)
        finished = stopped is None and new.endswith(".")
        spent = draft.spent + len(new.partition(stopped)[0] + stopped if stopped else new)
        return replace(
            draft,
            text=text.removesuffix("."),
            ids=tuple(map(ord, text)),
            finished=finished,
            spent=spent,
            stopped=stopped,
        )

    def write(self, draft: Completion, text: str) -> Completion:
        """Put a text at the end of a draft."""
        ids = (*draft.ids, *map(ord, text))
        return replace(draft, text=draft.text + text, ids=ids, stopped=None)

    def score(self, drafts: Sequence[Completion], reward: str) -> list[float | None]:
        """Look drafts up."""
        assert reward == "judge"
        self.scored += [draft.text for draft in drafts]
        return [self.worth.get(draft.text, 0.0) for draft in drafts]

    def answers(self, drafts: Sequence[Completion], reward: str) -> list[str | None]:
        """Return the last letter, a question mark being no answer."""
        return [draft.text[-1:].replace("?", "") or None for draft in drafts]


def empty(count: int = 1) -> list[Completion]:
    """Return empty drafts, which have cost 100 tokens already."""
    return [Completion(i, "prompt", spent=100) for i in range(count)]


def test_best_of_n_returns_the_best_and_bills_all() -> None:
    policy = Script({"": ["a.", "bcd.", "c.", "d."]}, {"bcd": 0.9, "c": 0.9, "d": None})
    first, second = BestOfN(reward="judge", n=4).generate(empty(2), policy)
    assert (first.row, first.text, first.finished, first.spent) == (0, "bcd", True, 100 + 10)
    assert (second.row, second.text) == (1, "bcd")


def test_a_candidate_without_a_score_is_never_best() -> None:
    policy = Script({"": ["a.", "b."]}, {"a": None, "b": -7.0})
    assert BestOfN(reward="judge", n=2).generate(empty(), policy)[0].text == "b"


def test_majority_vote_returns_the_first_with_the_commonest_answer() -> None:
    policy = Script({"": ["x1.", "y2.", "z2.", "w?."]})
    found = MajorityVote(n=4).generate(empty(), policy)[0]
    assert (found.text, found.spent) == ("y2", 100 + 12)


@pytest.mark.parametrize(
    ("votes", "place"),
    [
        ([None, "a", "b", "b"], 2),
        (["a", "b", "b", "a"], 0),
        ([None, None], 0),
        (["a"], 0),
        ([None, "z"], 1),
    ],
)
def test_an_election(votes: list[str | None], place: int) -> None:
    assert elected(votes) == place


def test_a_prefill_begins_the_completion_and_costs_nothing() -> None:
    found = ThinkPrefill(text="T").generate(empty(), Script({"T": ["abc."]}))[0]
    assert (found.text, found.spent, found.finished) == ("Tabc", 104, True)


THOUGHT = {"": ["so>A."], "so+": ["hm>A."], "so+hm+": ["ah>A."], "so+hm>": ["B."]}


def test_thinking_is_drawn_out_as_often_as_is_asked() -> None:
    lines = {**THOUGHT, "so>": ["A."], "so+hm+ah>": ["C."]}
    for waits, text in ((1, "so+hm>B"), (2, "so+hm+ah>C")):
        sampler = BudgetForcing(waits=waits, word="+", end=">")
        assert sampler.generate(empty(), Script(lines))[0].text == text


def test_what_never_ends_its_thinking_is_left_alone() -> None:
    sampler = BudgetForcing(waits=3, word="+", end=">")
    found = sampler.generate(empty(), Script({"": ["abc."]}))[0]
    assert (found.text, found.finished) == ("abc", True)


def test_thinking_is_cut_short_at_its_budget() -> None:
    policy = Script({"": ["long thought>A."], "long>": ["B."]})
    found = BudgetForcing(most=4, end=">").generate(empty(), policy)[0]
    assert (found.text, found.finished, found.spent) == ("long>B", True, 100 + 4 + 2)
    within = Script({"": ["so>A."], "so>": ["A."]})
    assert BudgetForcing(most=4, end=">").generate(empty(), within)[0].text == "so>A"


TREE = {
    "": ["a\n", "b\n"],
    "a\n": ["x.", "y."],
    "b\n": ["c\n", "d\n"],
    "b\nc\n": ["u.", "v."],
    "b\nd\n": ["w."],
}
WORTH = {"a\n": 0.2, "b\n": 0.5, "a\nx": 0.3, "a\ny": 0.1, "b\nc\n": 0.4, "b\nd\n": 0.6}
WORTH |= {"b\nc\nu": 0.2, "b\nc\nv": 0.1, "b\nd\nw": 1.0}


def test_beam_search_keeps_the_best_drafts_of_every_step() -> None:
    policy = Script(TREE, WORTH)
    found = BeamSearch(reward="judge", width=1, branches=2).generate(empty(), policy)[0]
    assert (found.text, found.finished) == ("b\nd\nw", True)
    assert found.spent == 100 + (2 + 2) + (2 + 2) + 2 * len("w.")
    assert "a\nx" not in policy.scored, "what was dropped is not written on"


def test_a_finished_beam_wins_over_worse_ones_that_go_on() -> None:
    worth = {"a\n": 0.2, "b\n": 0.5, "a\nx": 0.9, "b\nc\n": 0.4}
    policy = Script(TREE, worth)
    found = BeamSearch(reward="judge", width=2, branches=2).generate(empty(), policy)[0]
    assert found.text == "a\nx"


def test_beam_search_ends_where_drafts_can_go_no_further_and_writes_on_after_its_last_step() -> (
    None
):
    stuck = Script({"": ["a\n"]}, {"a\n": 1.0})
    assert BeamSearch(reward="judge").generate(empty(), stuck)[0].text == "a\n"
    long = Script({"": ["a\n"], "a\n": ["b\nc."]}, {"a\n": 1.0})
    found = BeamSearch(reward="judge", steps=1, width=1, branches=1).generate(empty(), long)[0]
    assert (found.text, found.finished, found.spent) == ("a\nb\nc", True, 100 + 2 + 4)


def test_tree_search_finds_the_best_completion_and_bills_every_draw() -> None:
    policy = Script({**TREE, "b\nc\n": ["u."]}, WORTH)
    found = TreeSearch(reward="judge", rollouts=12).generate(empty(), policy)[0]
    assert found.text == "b\nd\nw"
    assert found.spent > 100 + 12


def test_tree_search_goes_where_completions_were_worth_most() -> None:
    root = Node(Completion(0, "p"))
    root.children = [Node(Completion(0, "p", "a"), root), Node(Completion(0, "p", "b"), root)]
    for value in (0.0, 0.0, 0.1):
        root.children[0].learn(value)
    assert root.leaf(1.0) is root.children[1], "what was never tried comes first"
    for value in (1.0, 0.9, 1.0):
        root.children[1].learn(value)
    assert root.leaf(0.1) is root.children[1]
    assert (root.visits, root.total) == (6, 3.0)


def test_many_rounds_without_hope_still_return_a_completion() -> None:
    policy = Script({"": ["a."]}, {"a": None})
    found = TreeSearch(reward="judge", rollouts=3).generate(empty(2), policy)
    assert [draft.text for draft in found] == ["a", "a"]


SAMPLERS: dict[str, Any] = {
    "best_of_n": BestOfN(reward="judge"),
    "majority_vote": MajorityVote(),
    "think_prefill": ThinkPrefill(),
    "budget_forcing": BudgetForcing(waits=1),
    "beam_search": BeamSearch(reward="judge"),
    "tree_search": TreeSearch(reward="judge"),
}


OFFERED = load().offers["sampler"]
GENERATING = sorted(name for name, offer in OFFERED.items() if hasattr(offer.what, "generate"))


def test_every_sampler_that_generates_is_asked_here() -> None:
    assert sorted(SAMPLERS) == GENERATING


@pytest.mark.parametrize("name", GENERATING)
def test_one_draft_becomes_one_completion_that_has_cost_something(name: str) -> None:
    class Ends(Script):
        def _drawn(
            self, draft: Completion, max_tokens: int | None, stop: Sequence[str]
        ) -> Completion:
            text = f"{draft.text}a"
            ids = tuple(map(ord, text))
            return replace(draft, text=text, ids=ids, finished=True, spent=draft.spent + 1)

    (found,) = SAMPLERS[name].generate(empty(), Ends({}))
    assert (found.row, found.prompt, found.finished) == (0, "prompt", True)
    assert found.text.endswith("a") and found.spent > 100


@pytest.mark.parametrize("name", GENERATING)
def test_no_drafts_and_finished_drafts_are_fine(name: str) -> None:
    assert SAMPLERS[name].generate([], Script({})) == []
    done = Completion(3, "prompt", "abc", (1, 2, 3), finished=True, spent=7)
    found = SAMPLERS[name].generate([done], Script({}))[0]
    assert (found.row, found.finished, found.spent) == (3, True, 7)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: BestOfN(reward="judge", n=0), "n must be 1 or more, not 0"),
        (lambda: MajorityVote(n=0), "n must be 1 or more, not 0"),
        (lambda: BeamSearch(reward="judge", width=0), "width must be 1 or more, not 0"),
        (lambda: BeamSearch(reward="judge", ends=[]), "nothing ends a step: give ends or tokens"),
        (lambda: BeamSearch(reward="judge", ends=[""]), "an empty text ends no step"),
        (lambda: TreeSearch(reward="judge", rollouts=0), "rollouts must be 1 or more, not 0"),
        (lambda: TreeSearch(reward="judge", tokens=0), "tokens must be 1 or more, not 0"),
        (lambda: BudgetForcing(), "give waits, 1 or more, to draw thinking out, or most"),
        (lambda: BudgetForcing(waits=1, most=9), "give waits, 1 or more, to draw thinking out"),
        (lambda: BudgetForcing(most=0), "most must be 1 or more, not 0"),
    ],
)
def test_options_that_cannot_be_are_named(make: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        make()
