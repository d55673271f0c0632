"""Rollouts in training: completions generated, scored while others are generated, and passed.

`RolloutMixin` goes before TRL's GRPOTrainer or RLOOTrainer and wraps six of their methods, two
of them in packing/passes.py, two in dealing/passes.py; tests/training/test_trl_contract.py fails
first when TRL moves one.
The weights are those that TRL's own code comes to: results that exist already are reused, and those
that nobody reads are left out. What r1trl does not know how to do in TRL's place, TRL does.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from trl.models import unwrap_model_for_generation

from r1trl.dealing.passes import DealtPassesMixin
from r1trl.decoding.decode import GeneratedTokens, decode
from r1trl.packing.logprobs import are_completions, pad_logps
from r1trl.packing.ratios import log_tails
from r1trl.packing.tokens import TokenBatch
from r1trl.process.pulse import computed_elsewhere
from r1trl.rewards.bound_reward import NOT_ROW_COLUMNS
from r1trl.rewards.outcomes import Scores, counted_rewards
from r1trl.rewards.scorer import Scorer
from r1trl.stage.ranks import barrier
from r1trl.training import capabilities
from r1trl.training.prompts_and_groups import StageSamplers, refill_groups
from r1trl.training.trl_patches import without_text_gather


@dataclass
class Rollout:
    """One rollout of this process, from its rows to its scores; a new one replaces it whole.

    `rows` has an entry per completion; `texts` are TRL's lists of prompts and completions;
    `generated` is set if r1trl generated and its log-probabilities are those of TRL's own pass;
    `policy_logps` (rows, longest completion) float32 are those of the policy at rollout time,
    right-padded with 0, once they exist. `drawn` is True once all processes have generated: they
    wait for the slowest without a time-out, here and after the scoring. `columns` and `scores` are
    set when it is scored, `seconds_since_last` from the second rollout on.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    texts: tuple[Any, ...] = ()
    generated: list[GeneratedTokens] | None = None
    policy_logps: torch.Tensor | None = None
    drawn: bool = False
    columns: dict[str, list[Any]] = field(default_factory=dict)
    scores: Scores | None = None
    scored_at: float | None = None
    seconds_since_last: float | None = None


class PrecomputedReward:
    """The entry of TRL's `reward_funcs` for one reward: returns the values that are computed."""

    def __init__(self, name: str, trainer: "RolloutMixin") -> None:
        self.__name__, self.trainer = name, trainer

    def __call__(self, *, log_metric: Any, log_extra: Any, **_: Any) -> list[float | None]:
        """Return the values of the current rollout; log its metrics, and TRL's table of them."""
        rollout, name, args = self.trainer.rollout, self.__name__, self.trainer.args
        assert rollout.scores is not None
        for metric, value in rollout.scores.metrics(name, rollout.seconds_since_last).items():
            log_metric(metric, value)
        extra = rollout.scores.results[name].extra if args.log_completions else {}
        for column, values in extra.items():
            log_extra(column, values)
        return rollout.scores.values[name]


class RolloutMixin(DealtPassesMixin):
    """A mixin for TRL's GRPOTrainer and RLOOTrainer; see the module's docstring."""

    processing_class: Any  # the trainer's own attributes
    state: Any

    def __init__(
        self, *args: Any, scorer: Scorer, samplers: StageSamplers | None = None, **kwargs: Any
    ) -> None:
        self.scorer, self.samplers, self.rollout = scorer, samplers, Rollout()
        self.on_scored: Callable[[Rollout], None] | None = None  # a collective
        rewards = [PrecomputedReward(name, self) for name in scorer.names]
        scorer.load()  # now, as one that cannot be loaded may be asked for in a thousand steps
        super().__init__(*args, reward_funcs=rewards, **kwargs)
        scorer.warm()

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        if self.samplers is None or not self.model.training:
            return self._roll_out(inputs)
        return refill_groups(self, len(inputs), self._roll_out)

    def _roll_out(self, rows: Any) -> Any:
        self.rollout = Rollout(rows, scored_at=self.rollout.scored_at)
        with without_text_gather(self):
            output = super()._generate_and_score_completions(rows)  # type: ignore[misc]
        if "importance_sampling_ratio" in output:
            log_tails(self, output)
        return output

    def _generate_single_turn(self, prompt_ids: Any, *more: Any, **named: Any) -> Any:
        generated = self._generate_turn(prompt_ids, *more, **named)
        if not self.rollout.drawn:  # later turns, after calls of tools, are not of all processes
            self.rollout.drawn = True
            barrier()
        return generated

    def _generate_turn(
        self, prompt_ids: Any, images: Any, multimodal_fields: Any, *more: Any, **named: Any
    ) -> Any:
        other = images or multimodal_fields
        params = None if other else capabilities.local_sampling_params(self)
        if params is None:
            generate = super()._generate_single_turn  # type: ignore[misc]
            with computed_elsewhere():
                return generate(prompt_ids, images, multimodal_fields, *more, **named)
        submits = self.scorer.can_submit and len(prompt_ids) == len(self.rollout.rows)
        temperature = capabilities.scoring_temperature(self)
        with unwrap_model_for_generation(
            self.model_wrapped,
            self.accelerator,
            gather_deepspeed3_params=self.args.ds3_gather_for_generation,
            gradient_checkpointing_kwargs=self.args.gradient_checkpointing_kwargs,
        ) as model:
            generated = decode(
                model,
                prompt_ids,
                [self.generation_config.max_new_tokens] * len(prompt_ids),  # type: ignore[attr-defined]
                params,
                on_finished=self._submit_for_scoring if submits else None,
                logps_temperature=temperature,
            )
        self.rollout.generated = generated if temperature else None
        ids = [one.ids for one in generated]
        return (ids, None) if more or named else ids  # GRPO's has arguments and a result more

    def _submit_for_scoring(self, rows: list[int], ids: list[list[int]]) -> None:
        """Have finished completions scored while others are being generated."""
        texts = self.processing_class.batch_decode(ids, skip_special_tokens=True)
        columns = columns_of([self.rollout.rows[row] for row in rows])
        columns |= {"completion": texts, "completion_ids": ids}
        self.scorer.submit(columns, self.state.global_step)

    def _calculate_rewards(self, inputs: Any, prompts: Any, completions: Any, ids: Any) -> Any:
        rollout, now = self.rollout, time.monotonic
        rollout.texts = (prompts, completions)
        rollout.columns = columns_of(inputs) | {"completion": completions, "completion_ids": ids}
        rollout.scores = self.scorer.score(rollout.columns, self.state.global_step, self.state)
        barrier()
        last, rollout.scored_at = rollout.scored_at, now()
        rollout.seconds_since_last = rollout.scored_at - last if last else None
        if self.on_scored:
            self.on_scored(rollout)
        rewards = super()._calculate_rewards(inputs, prompts, completions, ids)  # type: ignore[misc]
        weights = {reward.name: reward.weight for reward in self.scorer.rewards}
        counted = [i for i, name in enumerate(weights) if name in counted_rewards(weights)]
        # What is only recorded gives no score to a completion that the others leave without one.
        rewards[rewards[:, counted].isnan().all(dim=1)] = torch.nan
        return rewards

    def log_samples(self, metrics: Mapping[str, Sequence[float]]) -> None:
        """Log numbers by metrics, which are the means of all that come until the next logging.

        All processes log the same numbers: those of all processes.
        """
        for name, values in metrics.items():
            self._metrics["train"][name] += values

    def logps_at_rollout(self, model: Any, batch: TokenBatch, max_rows: int) -> torch.Tensor:
        """Return what policy or reference thinks of the rollout, without a pass if it is known."""
        rollout = self.rollout
        if rollout.policy_logps is None and self._were_scored(batch):
            logps_by_row = [one.logps for one in rollout.generated or ()]
            mask = batch.mask[:, batch.prompt_width :]
            rollout.policy_logps = pad_logps(logps_by_row, mask)
        is_policy = model is self.model and not capabilities.reference_shares_base(self)
        same = is_policy or (model is not self.model and capabilities.policy_equals_reference(self))
        if rollout.policy_logps is not None and same:
            return rollout.policy_logps
        logps = super().logps_at_rollout(model, batch, max_rows)
        rollout.policy_logps = logps if is_policy else rollout.policy_logps
        return logps

    def _were_scored(self, batch: TokenBatch) -> bool:
        """Return True if decoding has scored these completions, in all processes: a collective."""
        made = self.rollout.generated
        if made is None:  # in all processes alike
            return False
        same = torch.tensor([are_completions([one.ids for one in made], batch)])
        return bool(self.accelerator.gather(same.to(batch.ids.device)).all())


def columns_of(rows: Any) -> dict[str, list[Any]]:
    """Return a rollout's rows as columns, without those that completions make."""
    names = ["prompt", *(name for name in rows[0] if name not in NOT_ROW_COLUMNS)]
    return {name: [row[name] for row in rows] for name in names}
