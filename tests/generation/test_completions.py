"""Drafts written on by a model in this process, and by samplers in a chain before it."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from r1trl.config.schema import SamplingConfig
from r1trl.errors import StageError
from r1trl.generation.completions import LimitedPolicy, ModelPolicy, SamplerPolicy
from r1trl.generation.local import LocalModel, cut
from r1trl.rewards.scorer import Scorer, bind_reward
from r1trl.types import Completion, Policy

pytestmark = pytest.mark.slow
LONGEST = 24
WHERE = "stages.samples.samplers.mine"
SCORING = {"on_failure": "mask", "failure_limit": 1.0, "deadline": 5.0, "processes": 1}


def settings(model: Path, **sampling: Any) -> dict[str, Any]:
    """Return what a stage says of a model."""
    greedy = asdict(SamplingConfig(temperature=0, max_tokens=LONGEST, batch_size=3))
    return {"model": str(model), "dtype": "float32", "sampling": {**greedy, **sampling}}


@pytest.fixture
def inference(tiny_model: Path) -> ModelPolicy:
    """Return a greedy random model on five rows, with a reward that reads the row."""

    def length(prompts, completions, completion_ids, wanted, **columns):  # type: ignore[no-untyped-def]
        return [-abs(len(c) - w) for c, w in zip(completions, wanted, strict=True)]

    columns = {"prompt": [f"Row {i}?" for i in range(5)], "wanted": list(range(5))}
    scorer = Scorer([bind_reward("length", length, {})], SCORING)
    votes = {"length": lambda text: str(len(text))}
    return ModelPolicy(LocalModel(settings(tiny_model)), columns, scorer, votes)


def drafts(*prompts: str) -> list[Completion]:
    """Return empty drafts."""
    return [Completion(i, prompt) for i, prompt in enumerate(prompts)]


PROMPTS = ("Hello", "A much longer prompt than the other ones", "x", "What is 2 + 2?", "Why?")


def test_a_draft_written_on_in_pieces_is_the_one_written_at_once(inference: ModelPolicy) -> None:
    whole = inference.draw(drafts(*PROMPTS))
    pieces = drafts(*PROMPTS)
    for _ in range(LONGEST // 5 + 1):
        pieces = inference.draw(pieces, max_tokens=5)
    assert pieces == whole
    assert all(d.spent == len(d.ids) and (d.finished or d.spent == LONGEST) for d in whole)
    assert [draft.prompt for draft in whole] == list(PROMPTS)


def test_what_is_finished_or_long_enough_comes_back_as_it_is(inference: ModelPolicy) -> None:
    done = Completion(0, "Hello", "bye", (5, 6), finished=True, spent=9)
    long = Completion(1, "Hello", "x" * LONGEST, tuple([70] * LONGEST), spent=LONGEST)
    assert inference.draw([done, long]) == [done, long]
    assert inference.draw([Completion(0, "Hello")], max_tokens=0) == [Completion(0, "Hello")]


def test_a_stop_text_ends_a_draw_and_is_no_part_of_the_draft(inference: ModelPolicy) -> None:
    whole = inference.draw(drafts(PROMPTS[0]))[0]
    stop = whole.text[-2:]
    before = whole.text[: whole.text.index(stop)]
    found = inference.draw(drafts(PROMPTS[0]), stop=[stop, "never"])[0]
    assert (found.text, found.stopped, found.finished) == (before, stop, False)
    assert len(before) < found.spent <= LONGEST
    assert inference.model.tokenizer.decode(found.ids) == before
    again = inference.write(found, stop)
    assert (again.text, again.stopped) == (before + stop, None)
    assert inference.model.tokenizer.decode(again.ids) == before + stop


def test_a_text_is_cut_at_the_ids_that_it_begins_with(tokenizer: Any) -> None:
    ids = tokenizer("one two three", add_special_tokens=False)["input_ids"]
    end = tokenizer.eos_token_id
    assert cut([*ids, end], "one two", tokenizer) == tuple(ids[:7])
    assert cut(ids[:3], "one two", tokenizer) == tuple(ids[:7])
    assert cut([], "", tokenizer) == ()


def test_sampling_depends_on_its_seed_alone(tiny_model: Path) -> None:
    model = LocalModel(settings(tiny_model, temperature=1.0))
    found = []
    for seed in (1, 1, 2):
        model.seed(seed)
        found.append([draft.text for draft in model.draw(drafts(*PROMPTS), LONGEST, ())])
    assert found[0] == found[1] != found[2]


def test_rewards_and_answers_are_those_of_the_row_that_a_draft_answers(
    inference: ModelPolicy,
) -> None:
    written = [
        Completion(3, "Row 3?", "abc"),
        Completion(0, "Row 0?", "abc"),
        Completion(3, "Row 3?", ""),
    ]
    assert inference.score(written, "length") == [0, -3, -3]
    assert inference.answers(written, "length") == ["3", "3", "0"]
    with pytest.raises(StageError, match=r"no reward of this stage is called 'lenght' \(did you"):
        inference.score(written, "lenght")


class Twice:
    """Draws everything a second time, and shouts."""

    def generate(self, drafts: Sequence[Completion], policy: Policy) -> list[Completion]:
        """Draw twice, return the second."""
        policy.draw(drafts)
        return [policy.write(draft, "!") for draft in policy.draw(drafts)]


class Loses:
    """Returns fewer drafts than it gets."""

    def generate(self, drafts: Sequence[Completion], policy: Policy) -> list[Completion]:
        """Lose one."""
        return policy.draw(drafts)[1:]


def test_samplers_draw_from_one_another(inference: ModelPolicy) -> None:
    plain = inference.draw(drafts(*PROMPTS))
    chained = SamplerPolicy(Twice(), SamplerPolicy(Twice(), inference, WHERE), WHERE).draw(
        drafts(*PROMPTS)
    )
    assert [d.text for d in chained] == [d.text + "!!" for d in plain]


def test_the_limits_of_an_outer_sampler_hold_for_the_inner_ones(inference: ModelPolicy) -> None:
    chained = SamplerPolicy(Twice(), inference, WHERE).draw(drafts("Hello"), max_tokens=4)[0]
    assert chained.text.endswith("!") and chained.spent == 4
    limited = LimitedPolicy(inference, 4, ())
    assert limited.draw(drafts("Hello"), max_tokens=9)[0].spent == 4
    assert limited.draw(drafts("Hello"), max_tokens=2)[0].spent == 2


def test_a_sampler_that_loses_drafts_is_named(inference: ModelPolicy) -> None:
    with pytest.raises(StageError, match=rf"{WHERE}: .*generate must return one draft"):
        SamplerPolicy(Loses(), inference, WHERE).draw(drafts(*PROMPTS))
