"""Several candidates for one completion: copies to generate from, scores to compare, the cost."""

import math
from collections.abc import Sequence
from dataclasses import replace

from r1trl import Completion


def copies(completions: Sequence[Completion], count: int) -> list[Completion]:
    """Return each completion `count` times, copies side by side, with a cost of 0 tokens."""
    return [replace(each, generated_tokens=0) for each in completions for _ in range(count)]


def with_cost(candidate: Completion, before: Completion, cost: int) -> Completion:
    """Return a candidate with the cost of all candidates, in tokens, on top of what was before."""
    return replace(candidate, generated_tokens=before.generated_tokens + cost)


def score_or_minus_inf(score: float | None) -> float:
    """Return a score that can be compared: minus infinity for None."""
    return -math.inf if score is None else score


def at_least_one(option: str, value: int) -> int:
    """Return the value of an option; raise ValueError if it is below 1."""
    if value < 1:
        raise ValueError(f"{option} must be 1 or more, not {value}")
    return value
