"""Rollouts in training: which prompts are drawn next, and what their completions are worth.

A mixin for TRL's GRPOTrainer and RLOOTrainer made of thin wrappers around methods that every
TRL 1.x minor has kept (`_get_train_sampler`, `_calculate_rewards`); tests/test_trl_contract.py
fails first when TRL moves them.
"""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from torch.utils.data import Sampler as TorchSampler

from r1trl.reward import NOT_COLUMNS
from r1trl.rewards import Scorer
from r1trl.scores import Scores

if TYPE_CHECKING:
    from datasets import Dataset


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


class ChosenPrompts(TorchSampler[int]):
    """Row indices in TRL's order: each prompt `group` times, each rollout `repeats` times."""

    def __init__(self, choose: Any, rows: "Dataset", shape: dict[str, int], seed: int) -> None:
        self.choose, self.rows, self.shape, self.seed = choose, rows, shape, seed

    def __iter__(self) -> Iterator[int]:
        for rollout in range(self.shape["rollouts"]):
            step = rollout * self.shape["steps"]
            indices = self.choose(self.rows, self.shape["prompts"], step, self.seed)
            for _ in range(self.shape["repeats"]):
                for index in indices:
                    yield from [index] * self.shape["group"]

    def __len__(self) -> int:
        shape = self.shape
        return shape["rollouts"] * shape["repeats"] * shape["prompts"] * shape["group"]


class Rollouts:
    """The mixin; `prepare` is called once, right after the trainer has been constructed."""

    scorer: Scorer
    scores: Scores
    choose: Any = None
    batch: dict[str, Any] | None = None
    period: float | None = None  # seconds between the last two rollouts
    scored_at: float | None = None

    def prepare(self, scorer: Scorer, choose: Any, minibatches: int) -> None:
        """Give the trainer its scorer and, where a sampler chooses prompts, its `choose`."""
        self.scorer, self.choose, self.minibatches = scorer, choose, minibatches
        scorer.warm()
        for slot in self.reward_funcs:  # type: ignore[attr-defined]
            slot.rollouts = self

    def _get_train_sampler(self, dataset: Any = None) -> Any:
        if self.choose is None:
            return super()._get_train_sampler(dataset)  # type: ignore[misc]
        args, group = self.args, self.num_generations  # type: ignore[attr-defined]
        iterations = self.num_iterations  # type: ignore[attr-defined]
        steps = self.minibatches * iterations
        shape = {
            "rollouts": -(-args.max_steps // steps),
            "steps": steps,
            "prompts": args.generation_batch_size // group,
            "repeats": iterations * args.steps_per_generation,
            "group": group,
        }
        rows = dataset if dataset is not None else self.train_dataset  # type: ignore[attr-defined]
        return ChosenPrompts(self.choose, rows, shape, args.seed)

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
