"""What a batch was worth: four outcomes per sample and reward, and never a silent zero.

A sample ends as a value, as None (abstain), as a timeout or as an error. From raw answers to
totals: failures give way to the policy's value, `requires` gates, weights sum.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from r1trl.rewards.pool import Failure

Values = dict[str, list[float | None]]


@dataclass(frozen=True)
class RewardResult:
    """A reward's raw answers, the seconds they took, and each sample's where that is known."""

    answers: Sequence[Any]
    seconds: float
    each: Sequence[float | None]


@dataclass(frozen=True)
class Scores:
    """Per reward and sample a value or None, how it came about, and how long it took."""

    values: Values
    outcomes: Mapping[str, list[str]]
    totals: list[float | None]
    asked: Mapping[str, RewardResult]

    def metrics(self, name: str, period: float | None = None) -> dict[str, float]:
        """Return a reward's `outcome/<name>/<outcome>`, where it occurred, and `seconds/<name>`.

        The former are shares of samples. `seconds/<name>` is what the batch took and `…/share` its
        part of `period`, the seconds since the batch before; p50, p95 and max are over samples.
        """
        shares = {f"outcome/{name}/{o}": v for o, v in _shares(self.outcomes[name]).items()}
        seconds = {f"seconds/{name}{k}": v for k, v in _seconds(self.asked[name], period).items()}
        return shares | seconds


def outcome(answer: Any) -> str:
    """Name what a raw answer is."""
    if isinstance(answer, Failure):
        return answer.kind
    return "abstain" if answer is None else "value"


def without_failures(raw: Mapping[str, Sequence[Any]], policy: str) -> Values:
    """Put the policy's value in place of failures: 0, or None for all of the sample."""
    failed = {i for found in raw.values() for i, v in enumerate(found) if isinstance(v, Failure)}
    masked = failed if policy == "mask" else set()
    return {
        name: [
            None if i in masked or v is None else 0.0 if isinstance(v, Failure) else float(v)
            for i, v in enumerate(found)
        ]
        for name, found in raw.items()
    }


def gated(values: Values, requires: Mapping[str, Iterable[str]]) -> Values:
    """Count a reward as 0 where one that it requires did not score 1."""
    found = dict(values)
    for name, others in requires.items():
        for other in others:
            pairs = zip(found[name], values[other], strict=True)
            found[name] = [v if v is None or r == 1.0 else 0.0 for v, r in pairs]
    return found


def totals(values: Values, weights: Mapping[str, float]) -> list[float | None]:
    """Return each sample's weighted sum; None where no reward applied."""
    sums: list[float | None] = []
    for row in zip(*values.values(), strict=True):
        known = [weights[n] * v for n, v in zip(values, row, strict=True) if v is not None]
        sums.append(sum(known) if known else None)
    return sums


def _shares(outcomes: Sequence[str]) -> dict[str, float]:
    counts = Counter(outcomes)
    return {name: counts[name] / len(outcomes) for name in sorted(counts) if name != "value"}


def _seconds(asked: RewardResult, period: float | None) -> dict[str, float]:
    found = {"": asked.seconds}
    if period:
        found["/share"] = asked.seconds / period
    known = sorted(seconds for seconds in asked.each if seconds is not None)
    if known:
        last = len(known) - 1
        for name, part in (("p50", 0.5), ("p95", 0.95), ("max", 1.0)):
            found[f"/{name}"] = known[round(part * last)]
    return found
