"""The numbers of a training stage that are worth a look, from the names of its metrics alone.

The names are TRL's and r1trl's, as in report/curves.py.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]
REWARD = re.compile(r"rewards/(.+)/mean")
HELD_OUT = re.compile(r"eval/(.+)/pass@1")
LENGTH, CUT, EQUAL = "completions/mean_length", "completions/clipped_ratio", "frac_reward_zero_std"
# Of stages without rewards, and what else says how training goes: the metric and its name here.
LEARNING = {
    "loss": "loss",
    "mean_token_accuracy": "right tokens",
    "accuracy": "right pairs",
    "rewards/accuracies": "right pairs",
    "margin": "margin",
    "rewards/margins": "margin",
}
RECENT = 50  # rows with a number of tokens by which their speed is measured


@dataclass(frozen=True)
class Number:
    """A number as a text, with what it is, and the group that it stands in."""

    group: str
    text: str


class Numbers:
    """Keeps the newest value of each metric, and says which are worth a look.

    `right` is the reward of a right answer, or None; `weights` are those of rewards.
    """

    def __init__(self, right: str | None, weights: Mapping[str, float]) -> None:
        self.right, self.weights = right, weights
        self.newest: dict[str, float] = {}
        self.steps: dict[str, int] = {}  # at which each was logged
        self._timed: list[tuple[float, float]] = []  # tokens so far, seconds so far

    def add(self, rows: Sequence[Row]) -> None:
        """Take new rows of metrics.jsonl."""
        for row in rows:
            known = {n: v for n, v in row.items() if isinstance(v, int | float)}
            self.newest |= known
            self.steps |= dict.fromkeys(known, int(known.get("step", 0)))
            if {"num_tokens", "seconds"} <= known.keys():
                timed = known["num_tokens"], known["seconds"]
                if self._timed and timed < self._timed[-1]:  # an attempt begins again
                    self._timed = []
                self._timed = [*self._timed, timed][-RECENT:]

    @property
    def speed(self) -> float | None:
        """Return the tokens per second of late, None if they are not known."""
        if len(self._timed) < 2:
            return None
        (first, begun), (last, ended) = self._timed[0], self._timed[-1]
        return (last - first) / (ended - begun) if last > first and ended > begun else None

    def shown(self) -> Iterator[Number]:
        """Yield what is worth a look, the most important first."""
        new = self.newest
        if "reward" in new:
            yield Number("reward", self._rewards())
        else:
            yield from self._learning()
        accuracy = new.get(f"rewards/{self.right}/mean")
        if accuracy is not None:
            yield Number("accuracy", f"accuracy {accuracy:.3f}")
        for name in new:
            if match := HELD_OUT.fullmatch(name):
                yield Number("held-out", self._held_out(name, match[1]))
        if LENGTH in new:
            yield Number("completions", f"{new[LENGTH]:,.0f} tokens a completion")
        if CUT in new:
            yield Number("completions", f"{new[CUT]:.0%} cut off")
        if EQUAL in new:
            yield Number("completions", f"{1 - new[EQUAL]:.0%} of groups with signal")
        if self.speed is not None:
            yield Number("speed", f"{self.speed:,.0f} tokens/s")

    def _rewards(self) -> str:
        """Return the reward, its parts, and what is only recorded."""
        names = {match[1]: name for name in self.newest if (match := REWARD.fullmatch(name))}
        counted = [name for name in names if self.weights.get(name, 1.0)]
        parts = [self._part(name, self.newest[names[name]]) for name in counted]
        recorded = [f"{n} {self.newest[names[n]]:.2f}" for n in names if n not in counted]
        beside = [f"beside it {', '.join(recorded)}"] if recorded else []
        told = "; ".join([*filter(None, [", ".join(parts)]), *beside])
        return f"reward {self.newest['reward']:.3f}" + (f" ({told})" if told else "")

    def _part(self, name: str, value: float) -> str:
        weight = self.weights.get(name, 1.0)
        return f"{name} {value:.2f}" if weight == 1 else f"{weight:g} × {name} {value:.2f}"

    def _learning(self) -> Iterator[Number]:
        for metric, name in LEARNING.items():
            if metric in self.newest:
                yield Number("learning", f"{name} {self.newest[metric]:.4g}")

    def _held_out(self, metric: str, benchmark: str) -> str:
        text = f"{benchmark} {self.newest[metric]:.3f}"
        ends = [self.newest.get(f"{metric}_{end}") for end in ("low", "high")]
        if None not in ends:
            text += f" ({ends[0]:.3f} to {ends[1]:.3f})"
        return f"{text} at step {self.steps[metric]}"
