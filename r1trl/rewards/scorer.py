"""Scoring: every reward of a stage on a batch of completions.

One path for training, sampling, evaluation and re-scoring. Rewards are asked at the same time:
verifiers in the pool's processes, coroutines in a thread, the others here, one after another.
"""

import inspect
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from r1trl.errors import StageError
from r1trl.plugins.loading import Plugins
from r1trl.rewards.outcomes import RewardResult, Scores, gated, outcome, totals, without_failures
from r1trl.rewards.pool import Failure, Pool, cores
from r1trl.rewards.setting import BoundReward, Columns
from r1trl.rewards.totals import ScoringStats
from r1trl.rewards.verifier import Verifier

COMMON_OPTIONS = ("reward", "weight", "requires", "where", "from_step", "until_step")


class Scorer:
    """All rewards of a stage."""

    def __init__(self, settings: Sequence[BoundReward], scoring: Mapping[str, Any]) -> None:
        self.settings = list(settings)
        self.policy, self.limit = scoring["on_failure"], scoring["failure_limit"]
        self.pool = Pool(scoring.get("processes") or cores(), scoring["deadline"])
        self.tally = ScoringStats()

    @property
    def names(self) -> list[str]:
        """Return the names of the rewards, in their order."""
        return [setting.name for setting in self.settings]

    def warm(self) -> None:
        """Start the scoring processes in the background, before there is anything to score."""
        found = [s.reward.reference for s in self.settings if isinstance(s.reward, Verifier)]
        if found:
            self.pool.warm(found)

    @property
    def can_submit(self) -> bool:
        """Tell whether anything can be scored elsewhere while completions are being written."""
        return any(isinstance(setting.reward, Verifier) for setting in self.settings)

    def begin(self, columns: Columns, step: int | None = None) -> None:
        """Begin to score rows that `score` is soon asked about, in the scoring processes."""
        for setting in self.settings:
            if not setting.needs_other_rewards:
                setting.begin(columns, step, self.pool)

    def score(self, columns: Columns, step: int | None = None) -> Scores:
        """Score a batch given as columns: prompt, completion, completion_ids and the rows' own."""
        first = [setting for setting in self.settings if not setting.needs_other_rewards]
        later = [setting for setting in self.settings if setting.needs_other_rewards]
        asked = self._ask_all(first, columns, step)
        known = without_failures({name: one.answers for name, one in asked.items()}, self.policy)
        asked |= self._ask_all(later, {**columns, "rewards": known}, step)
        raw = {name: asked[name].answers for name in self.names}
        for name, found in raw.items():
            self.tally.add(name, asked[name], columns)
            self._check_failures(name, found, columns)
        values = gated(
            without_failures(raw, self.policy), {s.name: s.requires for s in self.settings}
        )
        outcomes = {name: [outcome(v) for v in found] for name, found in raw.items()}
        weights = {setting.name: setting.weight for setting in self.settings}
        return Scores(values, outcomes, totals(values, weights), asked)

    def _ask_all(
        self, settings: Sequence[BoundReward], columns: Mapping[str, Any], step: int | None
    ) -> dict[str, RewardResult]:
        """Ask rewards at the same time."""
        with ThreadPoolExecutor(max(1, len(settings)), "r1trl-reward") as threads:
            elsewhere = {
                setting.name: threads.submit(setting.ask, columns, step, self.pool)
                for setting in settings
                if setting.runs_off_thread
            }
            here = {
                setting.name: setting.ask(columns, step, self.pool)
                for setting in settings
                if not setting.runs_off_thread
            }
            return here | {name: future.result() for name, future in elsewhere.items()}

    def _check_failures(self, name: str, answers: Sequence[Any], columns: Columns) -> None:
        failures = [(i, v) for i, v in enumerate(answers) if isinstance(v, Failure)]
        if not failures:
            return
        i, first = failures[0]
        sample = str(columns["completion"][i])[:200]
        story = f"reward '{name}': {first.kind} on row {i} ({first.message}): {sample!r}"
        print(f"{len(failures)} of {len(answers)} samples without a verdict; {story}", flush=True)
        if self.policy == "raise" or len(failures) > self.limit * len(answers):
            raise StageError(
                f"{story}; {len(failures)} of {len(answers)} samples failed (scoring.on_failure="
                f"{self.policy}, scoring.failure_limit={self.limit})"
            )

    def close(self, folder: Path | None = None) -> None:
        """End the scoring processes; write what they came to into scoring.json of the folder."""
        self.pool.close()
        if folder:
            self.tally.write(folder / "scoring.json")


def make_scorer(rewards: Mapping[str, Any], scoring: Mapping[str, Any], plugins: Plugins) -> Scorer:
    """Make the scorer of a stage's `rewards:` mapping; None as settings drops a reward."""
    settings = []
    for name, options in rewards.items():
        if options is not None:
            offer = plugins.find("reward", options.get("reward") or name)
            settings.append(bind_reward(name, offer.what, options))
    return Scorer(settings, scoring)


def bind_reward(name: str, reward: Any, options: Mapping[str, Any]) -> BoundReward:
    """Make one reward of a stage from its options and the keys that every reward takes."""
    common = {k: v for k, v in options.items() if k in COMMON_OPTIONS and v is not None}
    own = {k: v for k, v in options.items() if k not in COMMON_OPTIONS}
    common.pop("reward", None)
    if inspect.isclass(reward):
        return BoundReward(name, reward(**own), {}, **common)
    return BoundReward(name, reward, own, **common)
