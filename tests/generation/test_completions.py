"""Completions continued by a model in this process, and by samplers in a chain before it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pluggy
import pytest

from r1trl.config.schema import StageConfig
from r1trl.config.stage_parts import SamplingConfig, ScoringConfig
from r1trl.description import describe
from r1trl.errors import StageError
from r1trl.generation.completions import (
    LimitedPolicy,
    ModelPolicy,
    SamplerPolicy,
    chain,
    extractors_of,
)
from r1trl.generation.local import load_local, truncate_ids_to_text
from r1trl.plugins.loading import Plugins
from r1trl.plugins.offer import Offer
from r1trl.rewards.scorer import Scorer, bind_reward
from r1trl.samplers import Policy
from r1trl.types import Completion, Model

pytestmark = pytest.mark.slow
MAX_TOKENS = 24
KEY = "stages.samples.samplers.mine"


def stage(model: Path, **sampling: Any) -> StageConfig:
    """Return a stage that samples greedily from a model in batches of three."""
    greedy = {"temperature": 0.0, "max_tokens": MAX_TOKENS, "batch_size": 3}
    config = SamplingConfig(**{**greedy, **sampling})
    return StageConfig(kind="sample", model=Model(str(model)), dtype="float32", sampling=config)


@pytest.fixture
def policy(tiny_model: Path) -> ModelPolicy:
    """Return a greedy random model on five rows, with a reward that reads the row."""

    def length(prompts, completions, completion_ids, wanted, **columns):  # type: ignore[no-untyped-def]
        return [-abs(len(c) - w) for c, w in zip(completions, wanted, strict=True)]

    columns = {"prompt": [f"Row {i}?" for i in range(5)], "wanted": list(range(5))}
    scoring = ScoringConfig(deadline=5.0, processes=1, max_failure_rate=1.0)
    scorer = Scorer([bind_reward("length", length, {})], scoring)
    extractors = {"length": lambda text: str(len(text))}
    model = load_local(stage(tiny_model))
    return ModelPolicy(model, columns, scorer, extractors, lambda completions, change: [])


def empty(*prompts: str) -> list[Completion]:
    """Return empty completions of prompts."""
    return [Completion(i, prompt) for i, prompt in enumerate(prompts)]


PROMPTS = ("Hello", "A much longer prompt than the other ones", "x", "What is 2 + 2?", "Why?")


def test_a_completion_generated_in_pieces_is_the_one_generated_at_once(policy: ModelPolicy) -> None:
    whole = policy.generate(empty(*PROMPTS))
    pieces = empty(*PROMPTS)
    for _ in range(MAX_TOKENS // 5 + 1):
        pieces = policy.generate(pieces, max_tokens=5)
    assert pieces == whole
    assert all(c.generated_tokens == len(c.token_ids) for c in whole)
    assert all(c.finished or c.generated_tokens == MAX_TOKENS for c in whole)
    assert [c.prompt for c in whole] == list(PROMPTS)


def test_a_finished_or_long_completion_is_returned_unchanged(policy: ModelPolicy) -> None:
    done = Completion(0, "Hello", "bye", (5, 6), finished=True, generated_tokens=9)
    ids = tuple([70] * MAX_TOKENS)
    long = Completion(1, "Hello", "x" * MAX_TOKENS, ids, generated_tokens=MAX_TOKENS)
    assert policy.generate([done, long]) == [done, long]
    assert policy.generate(empty("Hello"), max_tokens=0) == empty("Hello")


def test_a_stop_text_ends_the_generation_and_is_no_part_of_the_completion(
    policy: ModelPolicy,
) -> None:
    whole = policy.generate(empty(PROMPTS[0]))[0]
    stop = whole.text[-2:]
    before = whole.text[: whole.text.index(stop)]
    stopped = policy.generate(empty(PROMPTS[0]), stop=[stop, "never"])[0]
    assert (stopped.text, stopped.stop_reason, stopped.finished) == (before, stop, False)
    assert len(before) < stopped.generated_tokens <= MAX_TOKENS
    assert policy.model.tokenizer.decode(stopped.token_ids) == before
    appended = policy.append(stopped, stop)
    assert (appended.text, appended.stop_reason) == (before + stop, None)
    assert appended.generated_tokens == stopped.generated_tokens
    assert policy.model.tokenizer.decode(appended.token_ids) == before + stop


def test_ids_are_cut_and_continued_to_decode_to_a_text(tokenizer: Any) -> None:
    ids = tokenizer("one two three", add_special_tokens=False)["input_ids"]
    end = tokenizer.eos_token_id
    assert truncate_ids_to_text([*ids, end], "one two", tokenizer, [end]) == tuple(ids[:7])
    assert truncate_ids_to_text(ids[:3], "one two", tokenizer, [end]) == tuple(ids[:7])
    assert truncate_ids_to_text([], "", tokenizer, [end]) == ()


def test_sampling_depends_on_its_seed_alone(tiny_model: Path) -> None:
    model = load_local(stage(tiny_model, temperature=1.0))
    texts = []
    for seed in (1, 1, 2):
        model.seed(seed)
        texts.append([c.text for c in model.generate(empty(*PROMPTS), MAX_TOKENS, ())])
    assert texts[0] == texts[1] != texts[2]


def test_rewards_and_extracted_answers_are_those_of_the_completions_row(
    policy: ModelPolicy,
) -> None:
    completions = [
        Completion(3, "Row 3?", "abc"),
        Completion(0, "Row 0?", "abc"),
        Completion(3, "Row 3?", ""),
    ]
    assert policy.score(completions, "length") == [0, -3, -3]
    assert policy.extract_answers(completions, "length") == ["3", "3", "0"]
    with pytest.raises(StageError, match=r"no reward of this stage is called 'lenght' \(did you"):
        policy.score(completions, "lenght")
    with pytest.raises(StageError, match="no reward that extracts answers is called 'judge'"):
        policy.extract_answers(completions, "judge")


def offered(role: str, **targets: Any) -> Plugins:
    """Return plugins that offer these targets by name."""
    offers = {name: Offer(role, name, "mine", target) for name, target in targets.items()}
    return Plugins(pluggy.PluginManager("r1trl"), {role: offers})


def test_extractors_get_the_options_of_their_reward() -> None:
    @describe(extract_answer=lambda completion, *, last=1: completion[-last:])
    def exact(prompts, completions, completion_ids, *, last: int = 1):  # type: ignore[no-untyped-def]
        raise AssertionError("not called")

    def plain(prompts, completions, completion_ids):  # type: ignore[no-untyped-def]
        raise AssertionError("not called")

    rewards = {
        "two": {"reward": "exact", "weight": 1.0, "last": 2},
        "exact": {},
        "plain": {"weight": 0.5},
        "dropped": None,
    }
    extractors = extractors_of(rewards, offered("reward", exact=exact, plain=plain))
    assert {name: extract("abc") for name, extract in extractors.items()} == {
        "two": "bc",
        "exact": "c",
    }


class Twice:
    """Generate everything twice, and append an exclamation mark."""

    def generate(self, completions: Sequence[Completion], policy: Policy) -> list[Completion]:
        """Return the second of two generations."""
        policy.generate(completions)
        return [policy.append(each, "!") for each in policy.generate(completions)]


class Loses:
    """Return fewer completions than it gets."""

    def generate(self, completions: Sequence[Completion], policy: Policy) -> list[Completion]:
        """Lose the first one."""
        return policy.generate(completions)[1:]


def test_samplers_generate_with_one_another(policy: ModelPolicy) -> None:
    plain = policy.generate(empty(*PROMPTS))
    chained = SamplerPolicy(Twice(), SamplerPolicy(Twice(), policy, KEY), KEY)
    texts = [c.text for c in chained.generate(empty(*PROMPTS))]
    assert texts == [c.text + "!!" for c in plain]


class Suffix:
    """Continue completions, and append a text."""

    def __init__(self, *, text: str) -> None:
        if not text:
            raise ValueError("text is empty")
        self.text = text

    def generate(self, completions: Sequence[Completion], policy: Policy) -> list[Completion]:
        """Append the text to what the policy generates."""
        return [policy.append(each, self.text) for each in policy.generate(completions)]


def test_the_first_sampler_of_a_chain_is_the_outermost(policy: ModelPolicy) -> None:
    plugins, key = offered("sampler", a=Suffix, b=Suffix, c=Suffix), "stages.samples.samplers"
    plain = policy.generate(empty("Hello"))[0]
    chained = chain({"a": {"text": "A"}, "b": None, "c": {"text": "C"}}, plugins, policy, key)
    assert chained.generate(empty("Hello"))[0].text == plain.text + "CA"
    assert chain({}, plugins, policy, key) is policy
    with pytest.raises(StageError, match=rf"^{key}.b: ValueError: text is empty"):
        chain({"a": {"text": "A"}, "b": {"text": ""}}, plugins, policy, key)


def test_the_limits_of_an_outer_sampler_hold_for_the_inner_ones(policy: ModelPolicy) -> None:
    chained = SamplerPolicy(Twice(), policy, KEY).generate(empty("Hello"), max_tokens=4)[0]
    assert chained.text.endswith("!") and chained.generated_tokens == 4
    limited = LimitedPolicy(policy, 4, ())
    assert limited.generate(empty("Hello"), max_tokens=9)[0].generated_tokens == 4
    assert limited.generate(empty("Hello"), max_tokens=2)[0].generated_tokens == 2


def test_a_sampler_that_loses_completions_is_named(policy: ModelPolicy) -> None:
    with pytest.raises(
        StageError,
        match=rf"{KEY}: generate returned completions of the rows .*it returns one for each",
    ):
        SamplerPolicy(Loses(), policy, KEY).generate(empty(*PROMPTS))
