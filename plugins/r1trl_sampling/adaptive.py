"""Prompts that are neither solved nor hopeless come more often."""

import heapq
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from r1trl import Group, RewardName
from r1trl_sampling.gates import values_of

if TYPE_CHECKING:
    from datasets import Dataset


class Adaptive:
    """Draw prompts by how uncertain the policy is about them, and retire those it has solved.

    A prompt's weight is p(1 - p) + `floor`, where p is the share of its completions for which
    `reward` was 1, averaged over its visits with `memory` for the past: at p = 1/2 the advantages
    of a group are largest. One never seen weighs as p = 1/2. One solved at least `retire` of the
    time on `visits` visits or more is drawn only when all are retired (Olmo 3's no-resampling
    pass rate). `reward` None counts a prompt as solved by the weighted sum of at least 1.
    """

    def __init__(
        self,
        *,
        reward: RewardName | None = "accuracy",
        floor: float = 0.05,
        memory: float = 0.5,
        retire: float = 1.0,
        visits: int = 2,
    ) -> None:
        if not 0 <= memory < 1:
            raise ValueError(f"memory must be from 0 to under 1, not {memory:g}")
        if floor <= 0:
            raise ValueError(f"floor must be positive, not {floor:g}: all could weigh nothing")
        self.reward, self.floor, self.memory = reward, floor, memory
        self.retire, self.visits = retire, visits
        self._seen: dict[int, tuple[int, float]] = {}  # row -> visits, share solved

    def choose(self, rows: "Dataset", count: int, step: int, seed: int) -> list[int]:
        """Choose `count` indices by their weights, none twice unless there are too few."""
        if not len(rows):
            raise ValueError("there are no rows to draw prompts from")
        source = random.Random(f"{seed} {step}")
        active = [i for i in range(len(rows)) if not self._retired(i)] or list(range(len(rows)))
        # The largest of u^(1/w) are a weighted draw without replacement (Efraimidis and Spirakis).
        keys = {i: source.random() ** (1 / self._weight(i)) for i in active}
        chosen = heapq.nlargest(count, active, key=keys.__getitem__)
        return [chosen[place % len(chosen)] for place in range(count)]

    def observe(self, groups: Sequence[Group]) -> None:
        """Learn from what groups scored."""
        for group in groups:
            known = [value for value in values_of(group, self.reward) if value is not None]
            if known:
                solved = sum(value >= 1 for value in known) / len(known)
                visits, before = self._seen.get(group.index, (0, solved))
                share = self.memory * before + (1 - self.memory) * solved
                self._seen[group.index] = (visits + 1, share)

    def _weight(self, index: int) -> float:
        share = self._seen.get(index, (0, 0.5))[1]
        return share * (1 - share) + self.floor

    def _retired(self, index: int) -> bool:
        visits, share = self._seen.get(index, (0, 0.0))
        return visits >= self.visits and share >= self.retire

    def state_dict(self) -> dict[str, Any]:
        """Return what has been seen of each prompt."""
        return {"seen": [[index, *seen] for index, seen in sorted(self._seen.items())]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what had been seen."""
        self._seen = {int(index): (int(v), float(share)) for index, v, share in state["seen"]}
