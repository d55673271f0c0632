"""Statistics of a stage's scoring: counts of outcomes, the slowest and the failed samples."""

import heapq
import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from r1trl.rewards.outcomes import RewardResult, outcome_of
from r1trl.rewards.pool import Failure
from r1trl.rewards.texts import gold_hint
from r1trl.storage.writing import write_text

MAX_EXAMPLES = 10
MAX_CHARACTERS = 2000
MIN_SAMPLES = 8  # after which a reward without any verdict is told


class ScoringStats:
    """Counts and examples per reward, over all batches of this process."""

    def __init__(self) -> None:
        self._outcomes: dict[str, Counter[str]] = defaultdict(Counter)
        self._seconds: dict[str, float] = defaultdict(float)
        self._slowest: dict[str, list[tuple[float, int, str]]] = defaultdict(list)
        self._failed: dict[str, list[dict[str, str]]] = defaultdict(list)
        self._order = itertools.count()
        self._abstained: dict[str, int] = defaultdict(int)  # samples before the first verdict

    def abstention(
        self, name: str, result: RewardResult, columns: Mapping[str, Sequence[Any]]
    ) -> str | None:
        """Return, once, that a reward has had no verdict on any sample of a batch so far."""
        asked = result.applies_to
        told = self._abstained[name] < 0
        if told or any(result.values[i] is not None for i in asked):
            self._abstained[name] = -1
        elif asked:
            self._abstained[name] += len(asked)
        if not self._abstained[name] >= MIN_SAMPLES:
            return None
        count, self._abstained[name] = self._abstained[name], -1
        gold = columns["solution"][asked[0]] if "solution" in columns else None
        such = f", such as the one with the solution {str(gold)[-160:]!r}{gold_hint(gold)}"
        return f"reward '{name}' has no verdict on any of {count} samples{such if gold else ''}"

    def add(self, name: str, result: RewardResult, columns: Mapping[str, Sequence[Any]]) -> None:
        """Count a reward's result on a batch."""
        self._outcomes[name].update(map(outcome_of, result.values))
        self._seconds[name] += result.seconds
        rows = zip(result.values, result.sample_seconds, columns["completion"], strict=True)
        for value, seconds, completion in rows:
            text = str(completion)[:MAX_CHARACTERS]
            if seconds is not None:
                self._keep_slowest(name, seconds, text)
            if isinstance(value, Failure) and len(self._failed[name]) < MAX_EXAMPLES:
                self._failed[name].append(
                    {"outcome": value.kind, "message": value.message, "completion": text}
                )

    def _keep_slowest(self, name: str, seconds: float, completion: str) -> None:
        slowest, entry = self._slowest[name], (seconds, next(self._order), completion)
        if len(slowest) < MAX_EXAMPLES:
            heapq.heappush(slowest, entry)
        elif seconds > slowest[0][0]:
            heapq.heapreplace(slowest, entry)

    def write(self, path: Path) -> None:
        """Write the statistics as JSON."""
        payload = {
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
        text = json.dumps(payload, ensure_ascii=False, indent=1)
        write_text(path, text + "\n")
