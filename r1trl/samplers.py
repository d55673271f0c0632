"""What a sampler is, the policy that a `generate` sampler writes with, what samplers may return."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, Protocol

from r1trl.errors import StageError
from r1trl.types import Completion, Group

if TYPE_CHECKING:
    from datasets import Dataset

Messages = list[Mapping[str, Any]]  # of a prompt, each with its role and content
ROUNDS = 3  # of replacements, of a gate that does not say


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

    def rewrite_prompts(
        self, completions: Sequence[Completion], change: Callable[[Messages], Messages]
    ) -> list[Completion]:
        """Return completions of changed prompts, which are rendered as the stage renders its rows.

        `change` gets a copy of the messages of a prompt, the system prompt included, which end with
        the user's; a prompt that was rewritten before has the messages that it was rewritten to. A
        raw template holds the last message alone. Rewards get the row's own prompt all the same.
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

        `count` is the number of prompts over all processes. A row may come several times.
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


def rounds_of(gate: Any, key: str) -> int:
    """Return how often a gate's refused groups are replaced; raise StageError if it is no count."""
    rounds = getattr(gate, "rounds", ROUNDS)
    if type(rounds) is not int or rounds < 0:
        raise StageError(f"{key}: its rounds are {rounds!r}; they are a number, 0 or more")
    return rounds


def chosen_rows(returned: Any, count: int, rows: int) -> list[int]:
    """Return what `choose` has returned as a list; raise StageError unless it may return that."""
    what = f"choose returned {_shown(returned)}"
    possible = f"it returns {count} row numbers, whole ones from 0 to {rows - 1}"
    plain = returned.tolist() if hasattr(returned, "tolist") else returned  # numpy's and torch's
    try:
        numbers = list(itertools.islice(plain, count + 1))
    except TypeError as error:
        raise StageError(f"{what}; {possible}") from error
    if len(numbers) != count:
        few = f"{len(numbers)} numbers" if len(numbers) < count else f"more than {count} numbers"
        raise StageError(f"{what}, {few}; {possible}")
    for number in numbers:
        whole = isinstance(number, Integral) and not isinstance(number, bool)
        if not whole or not 0 <= int(number) < rows:
            raise StageError(f"{what} with {_shown(number)}; {possible}")
    return [int(number) for number in numbers]


def admission(returned: Any) -> bool:
    """Return what `admit` has returned; raise StageError unless it is True or False."""
    plain = returned.item() if hasattr(returned, "item") else returned  # numpy's and torch's
    if not isinstance(plain, bool):
        possible = "it returns True for a group that may be trained on, else False"
        raise StageError(f"admit returned {_shown(returned)}; {possible}")
    return plain


def continuations(returned: Any, completions: Sequence[Completion]) -> list[Completion]:
    """Return what `generate` has returned as a list; raise StageError unless each is continued."""
    if not isinstance(returned, list | tuple):
        shown = _shown(returned)
        raise StageError(f"generate returned {shown}; it returns a list of completions")
    for one in returned:
        if not isinstance(one, Completion):
            raise StageError(f"generate returned {_shown(one)} among completions")
    rows, wanted = [one.row for one in returned], [one.row for one in completions]
    if rows != wanted:
        raise StageError(
            f"generate returned completions of the rows {_shown(rows)}; it returns one for each, "
            f"in their order: {_shown(wanted)}"
        )
    return list(returned)


def plain_state(returned: Any) -> Any:
    """Return what `state_dict` has returned; raise StageError unless JSON gives it back."""
    if odd := _not_plain(returned):
        plain = "it returns plain data: texts, numbers, lists, mappings from texts"
        raise StageError(f"state_dict returned {odd}; {plain}")
    return returned


def _not_plain(state: Any, at: str = "") -> str | None:
    """Return what in a sampler's state JSON would not give back, and where, or None."""
    if isinstance(state, Mapping):
        odd = next((key for key in state if not isinstance(key, str)), None)
        if odd is not None:
            return f"the key {_shown(odd)}{at}, which is no text"
        found = (_not_plain(value, f"{at} in {key!r}") for key, value in state.items())
        return next(filter(None, found), None)
    if isinstance(state, list | tuple):
        return next(filter(None, (_not_plain(value, at) for value in state)), None)
    if state is None or isinstance(state, str | int | float):
        return None
    return f"{_shown(state)}{at}, a {type(state).__name__}"


def _shown(value: Any) -> str:
    """Return a value for a message; of a coroutine that nobody awaits, what is wrong."""
    if hasattr(value, "close") and hasattr(value, "send"):
        value.close()
        return "a coroutine or generator: it must be a plain function"
    text = " ".join(repr(value).split())
    return text if len(text) <= 200 else f"{text[:200]}…"
