"""A sampler that prefers prompts which are neither solved nor hopeless."""

import heapq
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import r1trl
from r1trl import Group, RewardName
from r1trl_sampling.gates import reward_values

if TYPE_CHECKING:
    from datasets import Dataset


@r1trl.describe(aliases={"memory": "ema_decay", "retire": "retire_at", "visits": "min_visits"})
class Adaptive:
    """Sample prompts by the uncertainty of their pass rate, and retire the solved ones.

    A prompt's weight is p(1 - p) + `floor`, where p is the share of its completions with a value of
    `reward` of at least 1, as an exponential moving average over its visits with the decay
    `ema_decay`: at p = 1/2 the advantages of a group are largest. A prompt not yet visited has the
    weight of p = 1/2. A prompt with p of at least `retire_at` after `min_visits` visits or more is
    sampled only when all are retired (Olmo 3's no-resampling pass rate). If `reward` is None, the
    weighted sum of the rewards is used.
    """

    def __init__(
        self,
        *,
        reward: RewardName | None = "accuracy",
        floor: float = 0.05,
        ema_decay: float = 0.5,
        retire_at: float = 1.0,
        min_visits: int = 2,
    ) -> None:
        if not 0 <= ema_decay < 1:
            raise ValueError(f"ema_decay must be from 0 to under 1, not {ema_decay:g}")
        if floor <= 0:
            raise ValueError(f"floor must be positive, not {floor:g}: all could weigh nothing")
        self.reward, self.floor, self.ema_decay = reward, floor, ema_decay
        self.retire_at, self.min_visits = retire_at, min_visits
        self._stats: dict[int, tuple[int, float]] = {}  # row -> visits, mean pass rate

    def choose(self, rows: "Dataset", count: int, step: int, seed: int) -> list[int]:
        """Return `count` indices, sampled by weight; none twice unless there are too few.

        Raises ValueError if there are no rows.
        """
        if not len(rows):
            raise ValueError("there are no rows to draw prompts from")
        rng = random.Random(f"{seed} {step}")
        active = [i for i in range(len(rows)) if not self._retired(i)] or list(range(len(rows)))
        # The largest of u^(1/w) are a weighted sample without replacement (Efraimidis, Spirakis).
        keys = {i: rng.random() ** (1 / self._weight(i)) for i in active}
        chosen = heapq.nlargest(count, active, key=keys.__getitem__)
        return [chosen[i % len(chosen)] for i in range(count)]

    def observe(self, groups: Sequence[Group]) -> None:
        """Update the pass rates of the groups' prompts."""
        for group in groups:
            values = [value for value in reward_values(group, self.reward) if value is not None]
            if values:
                solved = sum(value >= 1 for value in values) / len(values)
                visits, before = self._stats.get(group.index, (0, solved))
                rate = self.ema_decay * before + (1 - self.ema_decay) * solved
                self._stats[group.index] = (visits + 1, rate)

    def _weight(self, index: int) -> float:
        rate = self._stats.get(index, (0, 0.5))[1]
        return rate * (1 - rate) + self.floor

    def _retired(self, index: int) -> bool:
        visits, rate = self._stats.get(index, (0, 0.0))
        return visits >= self.min_visits and rate >= self.retire_at

    def state_dict(self) -> dict[str, Any]:
        """Return the visits and mean pass rate of each visited row, as plain data."""
        return {"seen": [[index, *stats] for index, stats in sorted(self._stats.items())]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state that `state_dict` returned."""
        self._stats = {int(index): (int(v), float(rate)) for index, v, rate in state["seen"]}
