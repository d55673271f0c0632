"""Rollouts in training: which prompts are drawn next, and what their completions are worth.

A mixin for TRL's GRPOTrainer and RLOOTrainer made of thin wrappers around two methods that every
TRL 1.x minor has kept: `_generate_and_score_completions` and `_calculate_rewards`.
tests/test_trl_contract.py fails first when TRL moves them.
"""

import time
from typing import Any

from r1trl.reward import NOT_COLUMNS
from r1trl.rewards import Scorer
from r1trl.sampling import Sampling, roll_out
from r1trl.scores import Scores


class Slot:
    """What TRL holds in place of a reward: reads its values from the batch that was just scored."""

    def __init__(self, name: str, rollouts: "Rollouts | None" = None) -> None:
        self.__name__, self.rollouts = name, rollouts

    def __call__(self, *, log_metric: Any = None, **_: Any) -> list[float | None]:
        """Return the values; log what share of the samples got none, and the seconds it took."""
        assert self.rollouts
        scores = self.rollouts.scores
        if log_metric:
            for metric, value in scores.metrics(self.__name__, self.rollouts.period).items():
                log_metric(metric, value)
        return scores.values[self.__name__]


class Rollouts:
    """The mixin; `prepare` is called once, right after the trainer has been constructed."""

    scorer: Scorer
    scores: Scores
    sampling: Sampling | None = None
    batch: dict[str, Any] | None = None
    period: float | None = None  # seconds between the last two rollouts
    scored_at: float | None = None

    def prepare(self, scorer: Scorer, sampling: Sampling | None) -> None:
        """Give the trainer its scorer and, where there are any, its samplers."""
        self.scorer, self.sampling = scorer, sampling
        scorer.warm()
        for slot in self.reward_funcs:  # type: ignore[attr-defined]
            slot.rollouts = self

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        generate = super()._generate_and_score_completions  # type: ignore[misc]
        if self.sampling is None or not self.model.training:  # type: ignore[attr-defined]
            return generate(inputs)
        return roll_out(self, len(inputs), generate)

    def _calculate_rewards(self, inputs: Any, prompts: Any, completions: Any, ids: Any) -> Any:
        columns = {k: [row[k] for row in inputs] for k in inputs[0] if k not in NOT_COLUMNS}
        columns |= {"prompt": prompts, "completion": completions, "completion_ids": ids}
        step = self.state.global_step  # type: ignore[attr-defined]
        self.scores = self.scorer.score(columns, step)
        self.batch = {**columns, "step": step}
        now = time.monotonic()
        self.period = now - self.scored_at if self.scored_at else None
        self.scored_at = now
        return super()._calculate_rewards(inputs, prompts, completions, ids)  # type: ignore[misc]
