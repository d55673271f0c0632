"""A reward of a stage, bound to its options and to the keys that every reward takes."""

import asyncio
import functools
import inspect
import time
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from r1trl.errors import StageError, raised, suggest
from r1trl.plugins.offer import OF_TRAINER
from r1trl.plugins.trl_form import Logged, given_by_trainer, hint_of_messages, texts_or_messages
from r1trl.process.pulse import Overdue, bounded, computed_elsewhere
from r1trl.rewards.outcomes import RewardResult, checked_values
from r1trl.rewards.pool import Pool
from r1trl.rewards.verifier import Verifier

NOT_ROW_COLUMNS = ("prompt", "completion", "completion_ids")
COMMON_PARAMETERS = ("prompts", "completions", "rewards", *NOT_ROW_COLUMNS, *OF_TRAINER)
Columns = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class BoundReward:
    """A reward with its options and the keys that every reward takes.

    `options` are passed on each call; they are empty for an instance of a class.
    """

    name: str
    reward: Any
    options: Mapping[str, Any]
    weight: float = 1.0
    requires: Sequence[str] = ()
    where: Mapping[str, Any] = field(default_factory=dict)
    unless: Mapping[str, Any] = field(default_factory=dict)
    from_step: int | None = None
    until_step: int | None = None

    @property
    def runs_off_thread(self) -> bool:
        """True if the reward leaves this thread free: a verifier or a coroutine function."""
        called = type(self.reward).__call__ if not inspect.isroutine(self.reward) else self.reward
        return isinstance(self.reward, Verifier) or inspect.iscoroutinefunction(called)

    @property
    def needs_other_rewards(self) -> bool:
        """True if the reward takes the values of the others, and so is called after them."""
        return "rewards" in inspect.signature(self.reward).parameters

    @property
    def columns(self) -> list[inspect.Parameter]:
        """Return the parameters that are columns of the rows, without COMMON_PARAMETERS."""
        parameters = inspect.signature(self.reward).parameters.values()
        positional = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        return [p for p in positional if p.name not in COMMON_PARAMETERS]

    def load(self) -> None:
        """Call the reward's own `load()`, if it has one: once, whoever asks for it first."""
        _ = self._loaded

    @functools.cached_property
    def _loaded(self) -> bool:
        with computed_elsewhere():
            getattr(self.reward, "load", lambda: None)()
        return True

    def applies(self, columns: Columns, step: int | None) -> list[int]:
        """Return the indices of the rows that the reward scores at a step (None: at any).

        Raises StageError if `where` or `unless` names a column that the rows lack.
        """
        count = len(columns["completion"])
        early = self.from_step is not None and step is not None and step < self.from_step
        late = self.until_step is not None and step is not None and step >= self.until_step
        if early or late:
            return []
        for option, wanted in (("where", self.where), ("unless", self.unless)):
            for key in wanted:
                if key not in columns:
                    names = ", ".join(columns)
                    raise StageError(
                        f"reward '{self.name}': {option} names the column '{key}', which the rows "
                        f"do not have{suggest(key, columns)}; they have: {names}"
                    )
        kept = [i for i in range(count) if _matches(columns, i, self.where)]
        return [i for i in kept if not (self.unless and _matches(columns, i, self.unless))]

    def submit(self, columns: Mapping[str, Any], step: int | None, pool: Pool) -> None:
        """Start scoring rows in the pool, ahead of `ask`; only a verifier does so."""
        indices = self.applies(columns, step) if isinstance(self.reward, Verifier) else []
        if indices:
            self.reward.submit(_select(columns, indices), self.options, pool)

    def ask(
        self, columns: Mapping[str, Any], step: int | None, pool: Pool, trainer_state: Any = None
    ) -> RewardResult:
        """Score the rows that the reward applies to; the others get None.

        `columns` are lists of equal length, `trainer_state` is that of a training. Raises
        StageError if the reward raises, returns anything but one finite number, None or Failure per
        row, or logs anything but one value per row.
        """
        indices, start, logged = self.applies(columns, step), time.perf_counter(), Logged()
        values: list[Any] = [None] * len(columns["completion"])
        sample_seconds: list[float | None] = [None] * len(values)
        if indices:
            rows = _select(columns, indices)
            try:
                returned, durations = self._call(rows, pool, trainer_state, logged)
            except Overdue as error:
                raise StageError(str(error)) from None
            except (Exception, SystemExit) as error:  # a plugin's own error, named and raised on
                raise StageError(
                    f"reward '{self.name}' failed: {raised(error)}"
                    f"{hint_of_messages(self.reward, error)}"
                ) from error
            checked = checked_values(self.name, returned, len(indices))
            for i, value, seconds in zip(indices, checked, durations, strict=True):
                values[i], sample_seconds[i] = value, seconds
        extra = logged.columns(self.name, indices, len(values))
        seconds = time.perf_counter() - start
        return RewardResult(values, seconds, sample_seconds, indices, extra, logged.metrics)

    def _call(
        self, rows: Mapping[str, Any], pool: Pool, trainer_state: Any, logged: Logged
    ) -> tuple[Any, list[float | None]]:
        """Return the reward's return value, and each sample's seconds if they are measured."""
        if isinstance(self.reward, Verifier):
            results = self.reward.results(rows, self.options, pool)
            return [r.value for r in results], [r.seconds for r in results]
        self.load()
        rows = copied(rows)
        columns = {name: values for name, values in rows.items() if name not in NOT_ROW_COLUMNS}
        count, seconds = len(rows["completion"]), pool.batch_patience
        late = f"reward '{self.name}': no values for {count} completions within"
        late = f"{late} scoring.patience={seconds:g} s"
        with computed_elsewhere(), bounded(seconds, late):
            returned = self.reward(
                completion_ids=rows["completion_ids"],
                **texts_or_messages(self.reward, rows),
                **columns
                | dict(self.options)
                | given_by_trainer(self.reward, trainer_state, logged),
            )
            if inspect.isawaitable(returned):
                returned = asyncio.run(_await(returned, seconds, late))
        return returned, [None] * count


async def _await(awaitable: Awaitable[Any], seconds: float, late: str) -> Any:
    """Return a coroutine's result; raise Overdue if it takes longer."""
    try:
        async with asyncio.timeout(seconds) as bound:
            return await awaitable
    except TimeoutError:
        if bound.expired():
            raise Overdue(late) from None
        raise


def _matches(columns: Columns, row: int, wanted: Mapping[str, Any]) -> bool:
    """Return True if every column has the value that is wanted, or one of a list of them."""
    values = ((columns[key][row], value) for key, value in wanted.items())
    return all(has == value or (isinstance(value, list) and has in value) for has, value in values)


def _select(columns: Mapping[str, Any], indices: Sequence[int]) -> dict[str, Any]:
    """Return the rows at these indices; the column `rewards` is itself a mapping of columns."""
    return {
        name: _select(column, indices)
        if isinstance(column, Mapping)
        else [column[i] for i in indices]
        for name, column in columns.items()
    }


def copied(value: Any) -> Any:
    """Return a value with lists and mappings of its own, for a reward that changes them."""
    if isinstance(value, Mapping):
        return {name: copied(each) for name, each in value.items()}
    return [copied(each) for each in value] if isinstance(value, list) else value
