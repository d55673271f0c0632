"""What an offer of a plugin says of itself, and the decorator that it says it with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Description:
    """What an offer says of itself beyond its signature; `describe` and `verifier` set it.

    `full_score` is the value of a right answer, which the preflight expects of the gold one.
    `missing_requirements(**options)` returns what this machine lacks for it, or None. With
    `needs_groups` the reward compares the completions of a prompt and must see all of them.
    `extract_answer(completion, **options)` returns the answer that is scored, as text, for majority
    votes. `source_names(**options)` returns the stage's sources that a sampler's options name; the
    plan checks them. `aliases` maps former names of options to today's, accepted with a note.
    `asks_outside(**options)` returns what is asked elsewhere, such as a judge; rehearsals do not.
    `keeps_answer` is of a variant, which must say it: whether a varied row has the same solution.
    """

    full_score: float | None = None
    missing_requirements: Callable[..., str | None] | None = None
    needs_groups: bool = False
    extract_answer: Callable[..., str | None] | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)
    asks_outside: Callable[..., str | None] | None = None
    source_names: Callable[..., Iterable[str]] | None = None
    keeps_answer: bool | None = None


def describe(
    *,
    full_score: float | None = None,
    missing_requirements: Callable[..., str | None] | None = None,
    needs_groups: bool = False,
    extract_answer: Callable[..., str | None] | None = None,
    aliases: Mapping[str, str] | None = None,
    asks_outside: Callable[..., str | None] | None = None,
    source_names: Callable[..., Iterable[str]] | None = None,
    keeps_answer: bool | None = None,
) -> Callable[[T], T]:
    """Return a decorator that attaches a `Description` to what a plugin offers."""
    described = Description(
        full_score,
        missing_requirements,
        needs_groups,
        extract_answer,
        aliases or {},
        asks_outside,
        source_names,
        keeps_answer,
    )

    def attach(target: T) -> T:
        target.__r1trl__ = described  # type: ignore[attr-defined]
        return target

    return attach
