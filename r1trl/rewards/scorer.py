"""Scoring: all rewards of a stage on a batch of completions.

One path for training, sampling, evaluation and re-scoring. Rewards run at the same time: verifiers
in the pool's processes, coroutines in a thread, the others in this thread, one after another.
"""

import inspect
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Literal, Protocol

from r1trl.errors import StageError, errors_named
from r1trl.plugins.loading import Plugins
from r1trl.process.terminal import announce
from r1trl.rewards.bound_reward import BoundReward, Columns
from r1trl.rewards.outcomes import (
    RewardResult,
    Scores,
    apply_requires,
    outcome_of,
    replace_failures,
    weighted_sums,
)
from r1trl.rewards.pool import Failure, Pool, cores
from r1trl.rewards.stats import ScoringStats
from r1trl.rewards.verifier import Verifier

COMMON_OPTIONS = ("reward", "weight", "requires", "where", "unless", "from_step", "until_step")


class ScoringSettings(Protocol):
    """The settings under `scoring:` of a stage.

    `deadline` and `patience` are as in Pool, `max_failure_rate` is a share of a batch; `processes`
    None is this rank's share of the cores.
    """

    deadline: float
    patience: float | None
    processes: int | None
    on_failure: Literal["mask", "zero", "raise"]
    max_failure_rate: float


class Scorer:
    """All rewards of a stage, with their pool of scoring processes and their statistics.

    `key` is the stage's key, which the errors of rewards begin with; empty: they begin without.
    `pool` is that of another scorer, to share; None: one of its own.
    """

    def __init__(
        self,
        rewards: Sequence[BoundReward],
        scoring: ScoringSettings,
        key: str = "",
        pool: Pool | None = None,
    ) -> None:
        self.rewards, self.key = list(rewards), key
        self.on_failure, self.max_failure_rate = scoring.on_failure, scoring.max_failure_rate
        own = scoring.processes or cores(), scoring.deadline, scoring.patience
        self.pool = pool or Pool(*own)
        self.stats = ScoringStats()

    @property
    def names(self) -> list[str]:
        """Return the names of the rewards, in their order."""
        return [reward.name for reward in self.rewards]

    def warm(self) -> None:
        """Start the scoring processes in the background and load the verifiers into them."""
        paths = [r.reward.import_path for r in self.rewards if isinstance(r.reward, Verifier)]
        if paths:
            self.pool.warm(paths)

    def load(self) -> None:
        """Have each reward load what it needs; raise StageError, with its key, if one cannot."""
        for reward in self.rewards:
            with self._errors_named(reward.name):
                reward.load()

    @property
    def can_submit(self) -> bool:
        """True if `submit` has an effect: if any reward is a verifier."""
        return any(isinstance(reward.reward, Verifier) for reward in self.rewards)

    def submit(self, columns: Columns, step: int | None = None) -> None:
        """Start scoring rows in the scoring processes, ahead of a `score` that includes them."""
        for reward in self.rewards:
            if not reward.needs_other_rewards:
                reward.submit(columns, step, self.pool)

    def score(self, columns: Columns, step: int | None = None, trainer_state: Any = None) -> Scores:
        """Score a batch: prompt, completion, completion_ids and the rows' own columns.

        All columns have the same length. `step` counts optimizer steps; None ignores `from_step`
        and `until_step`. `trainer_state` is that of a training, for rewards in TRL's form. Not a
        collective. Raises StageError if a reward misbehaves, or if failures
        exceed what `scoring` allows.
        """
        first = [reward for reward in self.rewards if not reward.needs_other_rewards]
        second = [reward for reward in self.rewards if reward.needs_other_rewards]
        results = self._ask_all(first, columns, step, trainer_state)
        values = replace_failures(
            {n: result.values for n, result in results.items()}, self.on_failure
        )
        second_columns = {**columns, "rewards": values}
        results |= self._ask_all(second, second_columns, step, trainer_state)
        raw = {name: results[name].values for name in self.names}
        for name, column in raw.items():
            self.stats.add(name, results[name], columns)
            if note := self.stats.abstention(name, results[name], columns):
                announce(": ".join(filter(None, (self.key, note))))
            with self._errors_named(name):
                self._check_failures(name, column, columns)
        values = apply_requires(
            replace_failures(raw, self.on_failure), {r.name: r.requires for r in self.rewards}
        )
        outcomes = {name: [outcome_of(v) for v in column] for name, column in raw.items()}
        weights = {reward.name: reward.weight for reward in self.rewards}
        return Scores(values, outcomes, weighted_sums(values, weights), results)

    def _ask_all(
        self, rewards: Sequence[BoundReward], columns: Mapping[str, Any], *at: Any
    ) -> dict[str, RewardResult]:
        """Run rewards at the same time; `at` is the step and the trainer's state."""
        with ThreadPoolExecutor(max(1, len(rewards)), "r1trl-reward") as threads:
            futures = {
                reward.name: threads.submit(self._ask, reward, columns, *at)
                for reward in rewards
                if reward.runs_off_thread
            }
            results = {
                reward.name: self._ask(reward, columns, *at)
                for reward in rewards
                if not reward.runs_off_thread
            }
            return results | {name: future.result() for name, future in futures.items()}

    def _ask(
        self, reward: BoundReward, columns: Columns, step: int | None, state: Any
    ) -> RewardResult:
        with self._errors_named(reward.name):
            return reward.ask(columns, step, self.pool, state)

    def _errors_named(self, name: str) -> AbstractContextManager[None]:
        return errors_named(f"{self.key}.rewards.{name}") if self.key else nullcontext()

    def _check_failures(self, name: str, values: Sequence[Any], columns: Columns) -> None:
        failures = [(i, v) for i, v in enumerate(values) if isinstance(v, Failure)]
        if not failures:
            return
        i, first = failures[0]
        sample = str(columns["completion"][i])[:200]
        message = f"reward '{name}': {first.kind} on row {i} ({first.message}): {sample!r}"
        announce(f"{len(failures)} of {len(values)} samples without a verdict; {message}")
        if self.on_failure == "raise" or len(failures) > self.max_failure_rate * len(values):
            raise StageError(
                f"{message}; {len(failures)} of {len(values)} samples failed (scoring.on_failure="
                f"{self.on_failure}, scoring.max_failure_rate={self.max_failure_rate})"
            )

    def close(self, folder: Path | None = None) -> None:
        """Terminate the scoring processes; write the statistics to scoring.json in the folder."""
        self.pool.close()
        if folder:
            self.stats.write(folder / "scoring.json")


def make_scorer(
    rewards: Mapping[str, Any],
    scoring: ScoringSettings,
    plugins: Plugins,
    key: str = "",
    pool: Pool | None = None,
) -> Scorer:
    """Return the scorer of a stage's `rewards:` mapping; options of None leave a reward out.

    `key` is the stage's key, `pool` as in Scorer.
    """
    bound = []
    for name, options in rewards.items():
        if options is not None:
            offer = plugins.find("reward", options.get("reward") or name)
            bound.append(bind_reward(name, offer.target, options))
    return Scorer(bound, scoring, key, pool)


def bind_reward(name: str, reward: Any, options: Mapping[str, Any]) -> BoundReward:
    """Bind a reward to its options and to the keys that every reward takes; instantiate a class."""
    common = {k: v for k, v in options.items() if k in COMMON_OPTIONS and v is not None}
    own = {k: v for k, v in options.items() if k not in COMMON_OPTIONS}
    common.pop("reward", None)
    if inspect.isclass(reward):
        return BoundReward(name, reward(**own), {}, **common)
    return BoundReward(name, reward, own, **common)
