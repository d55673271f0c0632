"""An offer under test: its options, rows to test it on, and a pool for verifiers."""

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from r1trl.errors import R1trlError
from r1trl.plugins.offer import Offer
from r1trl.rewards.bound_reward import BoundReward, Columns
from r1trl.rewards.pool import Failure, Pool
from r1trl.rewards.scorer import bind_reward
from r1trl.types import RewardName

SECONDS = 10.0  # as scoring.deadline
ROWS: Columns = {
    "prompt": [f"What is {a} + {a}?" for a in range(1, 7)],
    "completion": [
        "<think>\n1 + 1 = 2\n</think>\n<answer>2</answer>",
        r"<think>Twice two.</think> The answer is \boxed{4}.",
        "6",
        "I do not know.",
        "因为五加五等于十，所以答案是十。",
        "<answer>" * 3,
    ],
    "solution": ["2", "4", "6", "8", "10", "12"],
    "language": ["en", "en", "en", "en", "zh", "en"],
}


class Remark(Exception):  # noqa: N818 - not an error
    """What is worth knowing of an offer and no fault of it."""


@dataclass(frozen=True)
class OfferUnderTest:
    """An offer with options, rows to test it on (columns of equal length), and a scoring pool."""

    offer: Offer
    options: Mapping[str, Any]
    rows: Columns
    pool: Pool

    def values(self, rows: Columns) -> list[Any]:
        """Return a reward's values on rows; raise AssertionError if it fails or is too slow."""
        reward = self.reward
        made_up = self._made_up(rows)
        hint = _hint(made_up)
        filled: dict[str, Any] = {**rows, **made_up}
        filled["completion_ids"] = [list(text.encode()[:50]) for text in filled["completion"]]
        if reward.needs_other_rewards:
            ones = [1.0] * len(filled["completion"])
            filled["rewards"] = dict.fromkeys(self.named_rewards, ones)
        try:
            reward.load()
            with interrupted_after(SECONDS):
                values = list(reward.ask(filled, None, self.pool).values)
        except (R1trlError, TimeoutError) as error:
            raise AssertionError(f"{error}{hint}") from error
        failed = next((v for v in values if isinstance(v, Failure)), None)
        assert failed is None, f"{failed.kind}: {failed.message}{hint}" if failed else ""
        return values

    def _made_up(self, rows: Columns) -> Columns:
        """Return the columns that the reward needs and rows lack: the solutions in their place."""
        needed = [c.name for c in self.reward.columns if c.default is c.empty]
        lacking = [name for name in needed if name not in rows]
        assert not lacking or "solution" in rows, f"the rows have no column '{lacking[0]}'"
        return dict.fromkeys(lacking, rows.get("solution", ()))

    @property
    def seconds(self) -> float:
        """Return how long one call may take."""
        return SECONDS

    @property
    def named_rewards(self) -> list[str]:
        """Return the names of other rewards among its options."""
        types, options = self.offer.option_types(), self.offer.options
        named = [name for name, type_ in types.items() if type_ is RewardName]
        return [self.options.get(name, options[name].default) for name in named]

    @property
    def reward(self) -> BoundReward:
        """Return the reward as a stage has it."""
        return bind_reward(self.offer.name, self.offer.target, self.options)


def _hint(made_up: Columns) -> str:
    """Return what to do if a reward fails on values that were made up; None is no such value."""
    given = (name for name, values in made_up.items() if any(v is not None for v in values))
    names = ", ".join(given)
    return f" (the values of {names} are made up: give rows with --rows FILE)" if names else ""


@contextmanager
def interrupted_after(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the main thread if the block takes longer; uses SIGALRM."""

    def ring(*_: Any) -> None:
        raise TimeoutError(f"takes more than {seconds:g} s for a handful of samples")

    handler = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
