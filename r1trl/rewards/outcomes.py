"""From raw reward values to totals; every sample has one of four outcomes per reward.

The outcomes are value, abstain (None), timeout and error. Failures are replaced as `on_failure`
demands, `requires` sets rewards to 0, and the weighted sum is the total: no failure becomes a zero
unseen.
"""

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from r1trl.errors import StageError
from r1trl.rewards.pool import Failure

Values = dict[str, list[float | None]]


@dataclass(frozen=True)
class RewardResult:
    """A reward's result on a batch; both sequences have one entry per row.

    `applies_to` are the rows that it was asked about: `where`, `unless` and the steps exclude
    others. `values` are numbers, None or a Failure. `seconds` is the batch's time, `sample_seconds`
    each sample's own, None if it was not measured. `extra` are columns that the reward has logged,
    with an entry per row, `metrics` numbers that it has logged.
    """

    values: Sequence[Any]
    seconds: float
    sample_seconds: Sequence[float | None]
    applies_to: Sequence[int]
    extra: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    metrics: Mapping[str, Sequence[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Scores:
    """The scores of a batch: per reward and row a value and an outcome; per row a total.

    A value is None if the reward does not apply or failed, a total if no reward applies.
    """

    values: Values
    outcomes: Mapping[str, list[str]]
    totals: list[float | None]
    results: Mapping[str, RewardResult]

    def metrics(self, name: str, period: float | None = None) -> dict[str, float]:
        """Return a reward's metrics `outcome/<name>/<outcome>`, `seconds/<name>`, and its own.

        The former are shares of samples that the reward applies to, for outcomes that occur, values
        aside. `seconds/<name>` is the batch's time and `…/share` its fraction of `period`, the
        seconds since the last batch; p50, p95 and max are over samples.
        """
        outcomes = [self.outcomes[name][i] for i in self.results[name].applies_to]
        shares = {f"outcome/{name}/{o}": v for o, v in _shares(outcomes).items()}
        seconds = {f"seconds/{name}{k}": v for k, v in _seconds(self.results[name], period).items()}
        logged = self.results[name].metrics.items()
        return shares | seconds | {metric: sum(v) / len(v) for metric, v in logged}

    @property
    def extra(self) -> dict[str, list[Any]]:
        """Return the columns that rewards have logged; of two values for a row the last counts."""
        merged: dict[str, list[Any]] = {}
        for result in self.results.values():
            for name, values in result.extra.items():
                before = merged.get(name, [None] * len(values))
                pairs = zip(before, values, strict=True)
                merged[name] = [old if new is None else new for old, new in pairs]
        return merged


def outcome_of(value: Any) -> str:
    """Return the outcome of a raw value: one of `types.OUTCOMES`."""
    if isinstance(value, Failure):
        return value.kind
    return "abstain" if value is None else "value"


def is_right(value: float | None) -> bool | None:
    """Return whether a value of the reward of right answers says right; None: it has no verdict."""
    return None if value is None else value == 1.0


def replace_failures(raw: Mapping[str, Sequence[Any]], on_failure: str) -> Values:
    """Replace failures by 0; with `on_failure` "mask", make all values of a failed row None."""
    failed = {i for column in raw.values() for i, v in enumerate(column) if isinstance(v, Failure)}
    masked = failed if on_failure == "mask" else set()
    return {
        name: [
            None if i in masked or v is None else 0.0 if isinstance(v, Failure) else float(v)
            for i, v in enumerate(column)
        ]
        for name, column in raw.items()
    }


def apply_requires(values: Values, requires: Mapping[str, Iterable[str]]) -> Values:
    """Set a reward's value to 0 if a reward that it requires is not 1; None stays None."""
    gated = dict(values)
    for name, others in requires.items():
        for other in others:
            pairs = zip(gated[name], values[other], strict=True)
            gated[name] = [v if v is None or r == 1.0 else 0.0 for v, r in pairs]
    return gated


def weighted_sums(values: Values, weights: Mapping[str, float]) -> list[float | None]:
    """Return each row's weighted sum of the values that are not None; None if there are none.

    A reward that is only recorded, with the weight 0, makes no sum of a row that the others leave
    without a value.
    """
    counted = counted_rewards(weights)
    sums: list[float | None] = []
    for row in zip(*values.values(), strict=True):
        terms = {n: weights[n] * v for n, v in zip(values, row, strict=True) if v is not None}
        sums.append(sum(terms.values()) if terms.keys() & counted else None)
    return sums


def counted_rewards(weights: Mapping[str, float]) -> list[str]:
    """Return the rewards whose weight is not 0; all of them if there is none."""
    return [name for name, weight in weights.items() if weight] or list(weights)


def _shares(outcomes: Sequence[str]) -> dict[str, float]:
    counts = Counter(outcomes)
    return {name: counts[name] / len(outcomes) for name in sorted(counts) if name != "value"}


def _seconds(result: RewardResult, period: float | None) -> dict[str, float]:
    metrics = {"": result.seconds}
    if period:
        metrics["/share"] = result.seconds / period
    measured = sorted(seconds for seconds in result.sample_seconds if seconds is not None)
    if measured:
        last = len(measured) - 1
        for name, quantile in (("p50", 0.5), ("p95", 0.95), ("max", 1.0)):
            metrics[f"/{name}"] = measured[round(quantile * last)]
    return metrics


def checked_values(name: str, returned: Any, count: int) -> list[Any]:
    """Return what a reward has returned for `count` rows: finite numbers, None or Failure.

    Raises StageError, with the reward's name, if it is anything else.
    """
    try:
        if isinstance(returned, Mapping | Set):
            raise TypeError("it has no order of rows")
        values: list[Any] = list(returned)
    except TypeError:
        raise StageError(f"reward '{name}' returned {returned!r}; it must return a list") from None
    if len(values) != count:
        raise StageError(f"reward '{name}' returned {len(values)} values for {count} completions")
    for i, value in enumerate(values):
        if value is None or isinstance(value, Failure):
            continue
        if hasattr(value, "item") and not getattr(value, "shape", ()):
            values[i] = value = value.item()  # a number of numpy's or torch's
        if not isinstance(value, int | float) or not _is_finite(value):
            raise StageError(
                f"reward '{name}' returned {value!r} for row {i}; "
                "it must be a finite number or None"
            )
    return values


def _is_finite(value: float) -> bool:
    """Return True for a number that a float holds; whole ones may be larger."""
    return -sys.float_info.max <= value <= sys.float_info.max
