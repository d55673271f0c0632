"""Completions drawn step by step: where a step ends, and when there is none left."""

from collections.abc import Sequence
from dataclasses import dataclass

from r1trl import Completion, Policy
from r1trl_search.candidates import at_least_one


@dataclass(frozen=True)
class Steps:
    """A step ends with one of the texts `ends`, which is part of it, or after `tokens` tokens."""

    ends: Sequence[str]
    tokens: int | None

    def __post_init__(self) -> None:
        if not self.ends and self.tokens is None:
            raise ValueError("nothing ends a step: give ends or tokens")
        if "" in self.ends:
            raise ValueError("ends: an empty text ends no step")
        if self.tokens is not None:
            at_least_one("tokens", self.tokens)

    def draw(self, drafts: Sequence[Completion], policy: Policy) -> list[Completion]:
        """Write every draft on by one step; one that cannot go on comes back as it is."""
        drawn = policy.draw(drafts, max_tokens=self.tokens, stop=self.ends)
        return [policy.write(one, one.stopped) if one.stopped else one for one in drawn]


def is_done(before: Completion, after: Completion) -> bool:
    """Tell whether a draft is finished, or could not be written on."""
    return after.finished or after.ids == before.ids
