"""One reward of a stage: its settings, and how it is asked about a batch."""

import asyncio
import inspect
import math
import time
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from r1trl.errors import StageError, suggest
from r1trl.rewards.outcomes import RewardResult
from r1trl.rewards.pool import Failure, Pool
from r1trl.rewards.verifier import Verifier

NOT_ROW_COLUMNS = ("prompt", "completion", "completion_ids")
GIVEN = ("prompts", "completions", "rewards", *NOT_ROW_COLUMNS)
Columns = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class BoundReward:
    """A reward of a stage: what it is, its options, and the keys that every reward takes."""

    name: str
    reward: Any
    options: Mapping[str, Any]
    weight: float = 1.0
    requires: Sequence[str] = ()
    where: Mapping[str, Any] = field(default_factory=dict)
    from_step: int | None = None
    until_step: int | None = None

    @property
    def runs_off_thread(self) -> bool:
        """Tell whether it leaves this thread free: a verifier, or a coroutine function."""
        called = type(self.reward).__call__ if not inspect.isroutine(self.reward) else self.reward
        return isinstance(self.reward, Verifier) or inspect.iscoroutinefunction(called)

    @property
    def needs_other_rewards(self) -> bool:
        """Tell whether it is asked after the others, because it takes their values."""
        return "rewards" in inspect.signature(self.reward).parameters

    @property
    def columns(self) -> list[inspect.Parameter]:
        """Return the parameters that are columns of the rows, beyond what every reward gets."""
        parameters = inspect.signature(self.reward).parameters.values()
        plain = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        return [p for p in plain if p.name not in GIVEN]

    def applies(self, columns: Columns, step: int | None) -> list[int]:
        """Return the indices of the rows that the reward is asked about."""
        count = len(columns["completion"])
        early = self.from_step is not None and step is not None and step < self.from_step
        late = self.until_step is not None and step is not None and step >= self.until_step
        if early or late:
            return []
        for key in self.where:
            if key not in columns:
                there = ", ".join(columns)
                raise StageError(
                    f"reward '{self.name}': where names the column '{key}', which the rows do not "
                    f"have{suggest(key, columns)}; they have: {there}"
                )
        return [i for i in range(count) if all(columns[k][i] == v for k, v in self.where.items())]

    def begin(self, columns: Mapping[str, Any], step: int | None, pool: Pool) -> None:
        """Begin to score rows that are soon asked about, where other processes do it."""
        indices = self.applies(columns, step) if isinstance(self.reward, Verifier) else []
        if indices:
            self.reward.begin(_select(columns, indices), self.options, pool)

    def ask(self, columns: Mapping[str, Any], step: int | None, pool: Pool) -> RewardResult:
        """Ask the reward about the rows that it applies to; raise StageError where it fails."""
        indices, start = self.applies(columns, step), time.perf_counter()
        answers: list[Any] = [None] * len(columns["completion"])
        each: list[float | None] = [None] * len(answers)
        if indices:
            part = _select(columns, indices)
            try:
                found, seconds = self._answers(part, pool)
            except Exception as error:  # a plugin's own error, named and raised on
                raise StageError(
                    f"reward '{self.name}' failed: {type(error).__name__}: {error}"
                ) from error
            checked = _checked(self.name, found, len(indices))
            for i, answer, took in zip(indices, checked, seconds, strict=True):
                answers[i], each[i] = answer, took
        return RewardResult(answers, time.perf_counter() - start, each)

    def _answers(self, part: Mapping[str, Any], pool: Pool) -> tuple[Any, list[float | None]]:
        """Return the answers, and the seconds of each sample where they are known."""
        if isinstance(self.reward, Verifier):
            verdicts = self.reward.verdicts(part, self.options, pool)
            return [v.value for v in verdicts], [v.seconds for v in verdicts]
        found = self.reward(
            prompts=part["prompt"],
            completions=part["completion"],
            completion_ids=part["completion_ids"],
            **{name: values for name, values in part.items() if name not in NOT_ROW_COLUMNS},
            **self.options,
        )
        answers = asyncio.run(_awaited(found)) if inspect.isawaitable(found) else found
        return answers, [None] * len(part["completion"])


async def _awaited(found: Awaitable[Any]) -> Any:
    return await found


def _select(columns: Mapping[str, Any], indices: Sequence[int]) -> dict[str, Any]:
    """Return the rows of these indices; `rewards` is a mapping of columns itself."""
    return {
        name: _select(column, indices)
        if isinstance(column, Mapping)
        else [column[i] for i in indices]
        for name, column in columns.items()
    }


def _checked(name: str, found: Any, count: int) -> list[Any]:
    try:
        values: list[Any] = list(found)
    except TypeError:
        raise StageError(f"reward '{name}' returned {found!r}; it must return a list") from None
    if len(values) != count:
        raise StageError(f"reward '{name}' returned {len(values)} values for {count} completions")
    for i, value in enumerate(values):
        if value is None or isinstance(value, Failure):
            continue
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise StageError(
                f"reward '{name}' returned {value!r} for row {i}; "
                "it must be a finite number or None"
            )
    return values
