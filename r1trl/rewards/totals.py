"""What a stage's rewards came to in all: counts of outcomes, the slowest and the failed samples."""

import heapq
import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from r1trl.rewards.outcomes import RewardResult, outcome
from r1trl.rewards.pool import Failure

KEPT = 10
LONGEST = 2000


class ScoringStats:
    """Counts and examples per reward, over all batches of one process."""

    def __init__(self) -> None:
        self._outcomes: dict[str, Counter[str]] = defaultdict(Counter)
        self._seconds: dict[str, float] = defaultdict(float)
        self._slowest: dict[str, list[tuple[float, int, str]]] = defaultdict(list)
        self._failed: dict[str, list[dict[str, str]]] = defaultdict(list)
        self._order = itertools.count()

    def add(self, name: str, asked: RewardResult, columns: Mapping[str, Sequence[Any]]) -> None:
        """Count a batch that a reward was asked about."""
        self._outcomes[name].update(map(outcome, asked.answers))
        self._seconds[name] += asked.seconds
        rows = zip(asked.answers, asked.each, columns["completion"], strict=True)
        for answer, seconds, completion in rows:
            text = str(completion)[:LONGEST]
            if seconds is not None:
                self._keep_slowest(name, seconds, text)
            if isinstance(answer, Failure) and len(self._failed[name]) < KEPT:
                told = {"outcome": answer.kind, "message": answer.message, "completion": text}
                self._failed[name].append(told)

    def _keep_slowest(self, name: str, seconds: float, completion: str) -> None:
        slowest, entry = self._slowest[name], (seconds, next(self._order), completion)
        if len(slowest) < KEPT:
            heapq.heappush(slowest, entry)
        elif seconds > slowest[0][0]:
            heapq.heapreplace(slowest, entry)

    def write(self, path: Path) -> None:
        """Write the tally as JSON."""
        told = {
            name: {
                "outcomes": dict(self._outcomes[name]),
                "seconds": round(self._seconds[name], 3),
                "slowest": [
                    {"seconds": round(seconds, 4), "completion": text}
                    for seconds, _, text in sorted(self._slowest[name], reverse=True)
                ],
                "failed": self._failed[name],
            }
            for name in self._outcomes
        }
        text = json.dumps(told, ensure_ascii=False, indent=1)
        path.write_text(text + "\n", encoding="utf-8")
