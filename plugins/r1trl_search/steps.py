"""Completions generated step by step: the end of a step, and the end of the completion."""

from collections.abc import Sequence
from dataclasses import dataclass

from r1trl import Completion, Policy
from r1trl_search.candidates import at_least_one


@dataclass(frozen=True)
class Steps:
    """Generates one step at a time.

    A step ends with one of the texts `step_ends`, which is part of it, or after `max_step_tokens`
    tokens (None: no limit). Raises ValueError if nothing can end a step.
    """

    step_ends: Sequence[str]
    max_step_tokens: int | None

    def __post_init__(self) -> None:
        if not self.step_ends and self.max_step_tokens is None:
            raise ValueError("nothing ends a step: give step_ends or max_step_tokens")
        if "" in self.step_ends:
            raise ValueError("step_ends: an empty text ends no step")
        if self.max_step_tokens is not None:
            at_least_one("max_step_tokens", self.max_step_tokens)

    def generate(self, completions: Sequence[Completion], policy: Policy) -> list[Completion]:
        """Continue every completion by one step; one at its end is returned unchanged."""
        generated = policy.generate(
            completions, max_tokens=self.max_step_tokens, stop=self.step_ends
        )
        return [
            policy.append(each, each.stop_reason) if each.stop_reason else each
            for each in generated
        ]


def is_done(before: Completion, after: Completion) -> bool:
    """Return True if a completion is finished, or if its last step added no tokens."""
    return after.finished or after.token_ids == before.token_ids
