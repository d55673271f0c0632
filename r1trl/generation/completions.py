"""Policies that continue completions: a model, or a chain of `generate` samplers before it.

Every sampler gets the next one as its policy, and the last one gets the model. The cost of a method
is in its completions: `generated_tokens` counts discarded tokens too.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from r1trl.config.stage_parts import SamplingConfig
from r1trl.errors import StageError, errors_named, unknown
from r1trl.plugins.loading import Plugins
from r1trl.rewards.pool import Failure
from r1trl.rewards.scorer import Scorer
from r1trl.rewards.texts import with_prefill
from r1trl.samplers import Messages, Policy, continuations
from r1trl.types import Completion

Rewrite = Callable[[Sequence[Completion], Callable[[Messages], Messages]], list[Completion]]
Extractor = Callable[[str], str | None]  # the answer in a completion's text, or None


class GenerationModel(Protocol):
    """A model that completions are sampled from, in this process or behind servers."""

    tokenizer: Any
    sampling: SamplingConfig

    def seed(self, seed: int) -> None:
        """Make the results of the following `generate` calls depend on this seed alone."""
        ...

    def generate(
        self, completions: Sequence[Completion], max_tokens: int, stop: Sequence[str]
    ) -> list[Completion]:
        """Continue each completion by up to `max_tokens` tokens; return them in the given order.

        The new text ends before the first of the `stop` texts. All given completions are unfinished
        and shorter than `sampling.max_tokens`, which none of the results exceeds.
        """
        ...

    def append(self, completion: Completion, text: str) -> Completion:
        """Return the completion with a text and its token ids appended; the cost stays."""
        ...


class ModelPolicy:
    """A policy that generates with the model itself and scores with the stage's rewards.

    `columns` are those of the rows that `Completion.row` counts; `extractors` are by reward name;
    `rewrite_prompts` is that of `Policy`.
    """

    def __init__(
        self,
        model: GenerationModel,
        columns: Mapping[str, Sequence[Any]],
        scorer: Scorer,
        extractors: Mapping[str, Extractor],
        rewrite_prompts: Rewrite,
    ) -> None:
        self.model, self.columns, self.scorer = model, columns, scorer
        self.extractors, self.rewrite_prompts = extractors, rewrite_prompts

    def generate(
        self,
        completions: Sequence[Completion],
        *,
        max_tokens: int | None = None,
        stop: Sequence[str] = (),
    ) -> list[Completion]:
        """Continue completions; see `Policy`."""
        longest = self.model.sampling.max_tokens
        limit = longest if max_tokens is None else max_tokens
        continued = list(completions)
        active = [
            i for i, c in enumerate(completions) if not c.finished and len(c.token_ids) < longest
        ]
        if active and limit > 0:
            generated = self.model.generate([completions[i] for i in active], limit, stop)
            for i, completion in zip(active, generated, strict=True):
                continued[i] = completion
        return continued

    def append(self, completion: Completion, text: str) -> Completion:
        """Return the completion with a text appended; see `Policy`."""
        return self.model.append(completion, text)

    def score(self, completions: Sequence[Completion], reward: str) -> list[float | None]:
        """Return one reward's values; None if it failed or does not apply.

        Raises StageError if the stage has no such reward, or if the reward itself raises.
        """
        bound = next((each for each in self.scorer.rewards if each.name == reward), None)
        if bound is None:
            raise StageError(unknown("reward of this stage", reward, self.scorer.names))
        result = bound.ask(self.columns_of(completions), None, self.scorer.pool)
        return [None if isinstance(value, Failure) else value for value in result.values]

    def extract_answers(self, completions: Sequence[Completion], reward: str) -> list[str | None]:
        """Return the answers that a reward reads; raise StageError if it extracts none."""
        if reward not in self.extractors:
            raise StageError(unknown("reward that extracts answers", reward, self.extractors))
        texts = [with_prefill(completion.prompt, completion.text) for completion in completions]
        return [self.extractors[reward](text) for text in texts]

    def columns_of(self, completions: Sequence[Completion]) -> dict[str, Any]:
        """Return the columns that rewards get for completions: those of their rows, and their own.

        `completion` holds the texts, `completion_ids` the token ids, unpadded.
        """
        rows = [completion.row for completion in completions]
        columns = {name: [values[row] for row in rows] for name, values in self.columns.items()}
        texts = [completion.text for completion in completions]
        ids = [list(completion.token_ids) for completion in completions]
        return {**columns, "completion": texts, "completion_ids": ids}


class SamplerPolicy:
    """A policy that generates with a `generate` sampler, which generates with another policy.

    `key` is the config key of the sampler, for error messages.
    """

    def __init__(self, sampler: Any, policy: Policy, key: str) -> None:
        self.sampler, self.policy, self.key = sampler, policy, key
        self.append, self.score = policy.append, policy.score
        self.extract_answers, self.rewrite_prompts = policy.extract_answers, policy.rewrite_prompts

    def generate(
        self,
        completions: Sequence[Completion],
        *,
        max_tokens: int | None = None,
        stop: Sequence[str] = (),
    ) -> list[Completion]:
        """Continue completions with the sampler, within these limits; see `Policy`.

        Raises StageError, which names the key, if the sampler fails or loses completions.
        """
        limited = max_tokens is not None or stop
        policy = LimitedPolicy(self.policy, max_tokens, stop) if limited else self.policy
        with errors_named(self.key):
            return continuations(self.sampler.generate(completions, policy), completions)


class LimitedPolicy:
    """A policy with the limits of an outer call of `generate` on every call inside it."""

    def __init__(self, policy: Policy, max_tokens: int | None, stop: Sequence[str]) -> None:
        self.policy, self.max_tokens, self.stop = policy, max_tokens, tuple(stop)
        self.append, self.score = policy.append, policy.score
        self.extract_answers, self.rewrite_prompts = policy.extract_answers, policy.rewrite_prompts

    def generate(
        self,
        completions: Sequence[Completion],
        *,
        max_tokens: int | None = None,
        stop: Sequence[str] = (),
    ) -> list[Completion]:
        """Continue completions within both limits: fewer `max_tokens`, and all `stop` texts."""
        limits = [limit for limit in (self.max_tokens, max_tokens) if limit is not None]
        lowest = min(limits, default=None)
        return self.policy.generate(completions, max_tokens=lowest, stop=[*stop, *self.stop])


def chain(samplers: Mapping[str, Any], plugins: Plugins, policy: Policy, key: str) -> Policy:
    """Return the policy of a stage's `generate` samplers; the first one is the outermost.

    `samplers` maps names to options (None: dropped), `policy` is the innermost one, `key` the
    config key of the samplers. Raises StageError if a sampler rejects its options.
    """
    for name, options in reversed(list(samplers.items())):
        if options is not None:
            own_key = f"{key}.{name}"
            with errors_named(own_key):
                sampler = plugins.find("sampler", name).bind(options)
                policy = SamplerPolicy(sampler, policy, own_key)
    return policy


def extractors_of(rewards: Mapping[str, Any], plugins: Plugins) -> dict[str, Extractor]:
    """Return the answer extractors of a stage's rewards by name, with their options filled in."""
    extractors: dict[str, Extractor] = {}
    for name, options in rewards.items():
        if options is None:
            continue
        offer = plugins.find("reward", options.get("reward", name))
        extract_answer = offer.description.extract_answer
        if extract_answer is not None:
            own = {option: value for option, value in options.items() if option in offer.options}
            extractors[name] = functools.partial(extract_answer, **own)
    return extractors
