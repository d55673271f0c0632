"""What a sampler is, and the policy that a `generate` sampler writes completions with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from r1trl.types import Completion, Group

if TYPE_CHECKING:
    from datasets import Dataset


class Policy(Protocol):
    """What a `generate` sampler generates with: the model, or the next sampler of the chain.

    Outside training only. With several processes each has its own rows; no call is a collective.
    """

    def generate(
        self,
        completions: Sequence[Completion],
        *,
        max_tokens: int | None = None,
        stop: Sequence[str] = (),
    ) -> list[Completion]:
        """Continue each completion by at most `max_tokens` tokens, or to one of the `stop` texts.

        One that is finished, or as long as `sampling.max_tokens`, is returned unchanged. The order
        is kept. None as `max_tokens`: as long as the stage allows.
        """
        ...

    def append(self, completion: Completion, text: str) -> Completion:
        """Return the completion with a text appended; its tokens are not counted as generated."""
        ...

    def score(self, completions: Sequence[Completion], reward: str) -> list[float | None]:
        """Return one of the stage's rewards on completions, finished or not.

        None if the reward failed or does not apply. Raises StageError if the stage has no such
        reward.
        """
        ...

    def extract_answers(self, completions: Sequence[Completion], reward: str) -> list[str | None]:
        """Return the answers that one of the stage's rewards extracts; None for one without answer.

        Raises StageError if the reward extracts no answers.
        """
        ...


class Sampler(Protocol):
    """Decide which prompts are rolled out, how, and which groups are trained on.

    One object per stage and process, with one or more of the methods below. All processes call them
    with equal arguments and must get equal answers. `choose` must not change the sampler: it learns
    in `observe`, and what it has learned is in its `state_dict()` (plain data), which is saved with
    each checkpoint and passed to `load_state_dict` when the stage continues.
    """

    def choose(self, rows: Dataset, count: int, step: int, seed: int) -> list[int]:
        """Return `count` indices into `rows`, for the rollout that starts at optimizer step `step`.

        `count` is the number of prompts over all processes.
        """
        ...

    def observe(self, groups: Sequence[Group]) -> None:
        """Take note of a rollout's scored groups, those of all processes."""
        ...

    def admit(self, group: Group) -> bool:
        """Return True if a group may be trained on; others are replaced by fresh prompts.

        The attribute `rounds` (3 if absent) bounds how often replacements are rolled out.
        """
        ...

    def generate(self, completions: Sequence[Completion], policy: Policy) -> list[Completion]:
        """Return each completion continued to its end, in the same order; outside training only."""
        ...
