"""Inference: drafts written to their end by a model, or by a chain of `generate` samplers.

Every sampler gets the next one as its policy, the last one the model. How much a method costs is
in its drafts: `spent` counts the tokens drawn for one, thrown away or not.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from r1trl.errors import StageError, errors_named, unknown
from r1trl.plugins.loading import Plugins
from r1trl.rewards.pool import Failure
from r1trl.rewards.scorer import Scorer
from r1trl.types import Completion, Policy

Vote = Callable[[str], str | None]


class Model(Protocol):
    """Where tokens come from: this process, or servers."""

    tokenizer: Any
    sampling: Mapping[str, Any]

    def seed(self, seed: int) -> None:
        """Make what is drawn next depend on this seed alone."""
        ...

    def draw(
        self, drafts: Sequence[Completion], max_tokens: int, stop: Sequence[str]
    ) -> list[Completion]:
        """Write drafts on."""
        ...

    def write(self, draft: Completion, text: str) -> Completion:
        """Put a text at the end of a draft."""
        ...


class ModelPolicy:
    """A model as samplers see it, with the stage's rewards on the rows that are answered."""

    def __init__(
        self,
        model: Model,
        columns: Mapping[str, Sequence[Any]],
        scorer: Scorer,
        votes: Mapping[str, Vote],
    ) -> None:
        self.model, self.columns, self.scorer, self.votes = model, columns, scorer, votes

    def draw(
        self,
        drafts: Sequence[Completion],
        *,
        max_tokens: int | None = None,
        stop: Sequence[str] = (),
    ) -> list[Completion]:
        """Write on; see `Policy`."""
        longest = self.model.sampling["max_tokens"]
        drawn = list(drafts)
        open_ = [i for i, d in enumerate(drafts) if not d.finished and len(d.ids) < longest]
        limit = longest if max_tokens is None else max_tokens
        if open_ and limit > 0:
            new = self.model.draw([drafts[i] for i in open_], limit, stop)
            for i, draft in zip(open_, new, strict=True):
                drawn[i] = draft
        return drawn

    def write(self, draft: Completion, text: str) -> Completion:
        """Put a text at the end of a draft."""
        return self.model.write(draft, text)

    def score(self, drafts: Sequence[Completion], reward: str) -> list[float | None]:
        """Return what a reward says of drafts; None where it failed or does not apply."""
        setting = next((s for s in self.scorer.settings if s.name == reward), None)
        if setting is None:
            raise StageError(unknown("reward of this stage", reward, self.scorer.names))
        asked = setting.ask(self.columns_of(drafts), None, self.scorer.pool)
        return [None if isinstance(answer, Failure) else answer for answer in asked.answers]

    def answers(self, drafts: Sequence[Completion], reward: str) -> list[str | None]:
        """Return the answers that a reward reads in drafts."""
        if reward not in self.votes:
            raise StageError(unknown("reward that reads answers", reward, self.votes))
        return [self.votes[reward](draft.text) for draft in drafts]

    def columns_of(self, drafts: Sequence[Completion]) -> dict[str, Any]:
        """Return the columns that rewards are given for drafts."""
        rows = [draft.row for draft in drafts]
        own = {name: [values[row] for row in rows] for name, values in self.columns.items()}
        ids = [list(draft.ids) for draft in drafts]
        return {**own, "completion": [draft.text for draft in drafts], "completion_ids": ids}


class SamplerPolicy:
    """A `generate` sampler with the policy that it draws from, as a policy itself."""

    def __init__(self, sampler: Any, policy: Policy, where: str) -> None:
        self.sampler, self.policy, self.where = sampler, policy, where
        self.write, self.score, self.answers = policy.write, policy.score, policy.answers

    def draw(
        self,
        drafts: Sequence[Completion],
        *,
        max_tokens: int | None = None,
        stop: Sequence[str] = (),
    ) -> list[Completion]:
        """Have the sampler write drafts on, within these limits too."""
        limited = max_tokens is not None or stop
        policy = LimitedPolicy(self.policy, max_tokens, stop) if limited else self.policy
        with errors_named(self.where):
            drawn = list(self.sampler.generate(drafts, policy))
            if [draft.row for draft in drawn] != [draft.row for draft in drafts]:
                raise StageError("generate must return one draft for each, in their order")
        return drawn


class LimitedPolicy:
    """A policy whose draws end at a limit that was set further out."""

    def __init__(self, policy: Policy, max_tokens: int | None, stop: Sequence[str]) -> None:
        self.policy, self.max_tokens, self.stop = policy, max_tokens, tuple(stop)
        self.write, self.score, self.answers = policy.write, policy.score, policy.answers

    def draw(
        self,
        drafts: Sequence[Completion],
        *,
        max_tokens: int | None = None,
        stop: Sequence[str] = (),
    ) -> list[Completion]:
        """Write on, within both limits."""
        limits = [limit for limit in (self.max_tokens, max_tokens) if limit is not None]
        most = min(limits, default=None)
        return self.policy.draw(drafts, max_tokens=most, stop=[*stop, *self.stop])


def chain(
    samplers: Mapping[str, Any], plugins: Plugins, inference: ModelPolicy, where: str
) -> Policy:
    """Return the policy that a stage's `generate` samplers make, the first one outermost.

    `where` is the key of the samplers.
    """
    policy: Policy = inference
    for name, options in reversed(list(samplers.items())):
        if options is not None:
            key = f"{where}.{name}"
            with errors_named(key):
                policy = SamplerPolicy(plugins.find("sampler", name).bind(options), policy, key)
    return policy


def extractors_of(rewards: Mapping[str, Any], plugins: Plugins) -> dict[str, Vote]:
    """Return how answers are read, for every reward that says how."""
    found: dict[str, Vote] = {}
    for name, options in rewards.items():
        if options is None:
            continue
        what = plugins.find("reward", options.get("reward", name)).what
        extract = getattr(what, "extract", None)
        if extract is not None:
            own = {k: v for k, v in options.items() if k in getattr(what, "options", ())}
            found[name] = functools.partial(extract, **own)
    return found
