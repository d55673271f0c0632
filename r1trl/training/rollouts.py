"""Rollouts in training: completions generated, scored while others are generated, and passed.

`RolloutMixin` goes before TRL's GRPOTrainer or RLOOTrainer and wraps six of their methods;
tests/training/test_trl_contract.py fails first when TRL moves one. The weights are those that TRL's
own code comes to: results that exist already are reused, and those that nobody reads are left out.
"""

import time
from dataclasses import dataclass, field
from typing import Any

import torch
from trl.models import unwrap_model_for_generation

from r1trl.decoding.decode import GeneratedTokens, decode
from r1trl.packing.logprobs import (
    log_probabilities,
    logps_skipping_zero_advantage,
    pad_logps,
    regroup_by_prompt,
)
from r1trl.packing.packed import can_pack, unwrapped
from r1trl.packing.tokens import TokenBatch
from r1trl.rewards.bound_reward import NOT_ROW_COLUMNS
from r1trl.rewards.outcomes import Scores
from r1trl.rewards.scorer import Scorer
from r1trl.training import capabilities
from r1trl.training.prompts_and_groups import StageSamplers, refill_groups
from r1trl.training.trl_patches import without_text_gather


@dataclass
class Rollout:
    """One rollout of this process, from its rows to its scores; a new one replaces it whole.

    `rows` has an entry per completion; `texts` are TRL's lists of prompts and completions;
    `generated` is set if r1trl generated; `policy_logps` (rows, longest completion) float32 are
    those of the policy at rollout time, right-padded with 0, once they exist. `columns` and
    `scores` are set when it is scored, `seconds_since_last` from the second rollout on.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    texts: tuple[Any, ...] = ()
    generated: list[GeneratedTokens] | None = None
    policy_logps: torch.Tensor | None = None
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


class RolloutMixin:
    """A mixin for TRL's GRPOTrainer and RLOOTrainer; see the module's docstring."""

    args: Any  # the trainer's own attributes
    model: Any
    accelerator: Any
    processing_class: Any
    state: Any
    _buffered_inputs: Any

    def __init__(
        self, *args: Any, scorer: Scorer, samplers: StageSamplers | None = None, **kwargs: Any
    ) -> None:
        self.scorer, self.samplers, self.rollout = scorer, samplers, Rollout()
        self.zero_advantage: torch.Tensor | None = None  # rows of the current micro-batch
        self._packs: dict[int, bool] = {}  # by model
        rewards = [PrecomputedReward(name, self) for name in scorer.names]
        super().__init__(*args, reward_funcs=rewards, **kwargs)  # type: ignore[call-arg]
        scorer.warm()

    def packs(self, model: Any, device: torch.device) -> bool:
        """Return True if a model passes packed rows; probed at its first pass, a collective.

        Not earlier, because sharded weights cannot be run before training has begun.
        """
        if (key := id(unwrapped(model))) not in self._packs:
            self._packs[key] = can_pack(model, device)
        return self._packs[key]

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        if self.samplers is None or not self.model.training:
            return self._roll_out(inputs)
        return refill_groups(self, len(inputs), self._roll_out)

    def _roll_out(self, rows: Any) -> Any:
        self.rollout = Rollout(rows, scored_at=self.rollout.scored_at)
        with without_text_gather(self):
            return super()._generate_and_score_completions(rows)  # type: ignore[misc]

    def _generate_single_turn(self, prompt_ids: Any, images: Any, fields: Any, *more: Any) -> Any:
        params = None if images or fields else capabilities.local_sampling_params(self)
        if params is None:
            return super()._generate_single_turn(prompt_ids, images, fields, *more)  # type: ignore[misc]
        with unwrap_model_for_generation(
            self.model_wrapped,  # type: ignore[attr-defined]
            self.accelerator,
            gather_deepspeed3_params=self.args.ds3_gather_for_generation,
            gradient_checkpointing_kwargs=self.args.gradient_checkpointing_kwargs,
        ) as model:
            self.rollout.generated = decode(
                model,
                prompt_ids,
                [self.max_completion_length] * len(prompt_ids),  # type: ignore[attr-defined]
                params,
                on_finished=self._submit_for_scoring if self.scorer.can_submit else None,
                return_logps=capabilities.decode_matches_training_precision(self),
            )
        ids = [one.ids for one in self.rollout.generated]
        return (ids, None) if more else ids  # GRPO's method has an argument and a result more

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
        last, rollout.scored_at = rollout.scored_at, now()
        rollout.seconds_since_last = rollout.scored_at - last if last else None
        return super()._calculate_rewards(inputs, prompts, completions, ids)  # type: ignore[misc]

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,  # True for the pass with gradient, and only for that
        compute_aux_loss: bool = False,
        **images: Any,
    ) -> Any:
        if compute_aux_loss or any(value is not None for value in images.values()):
            given = (input_ids, attention_mask, logits_to_keep, batch_size, compute_entropy)
            forward = super()._get_per_token_logps_and_entropies  # type: ignore[misc]
            return forward(model, *given, compute_aux_loss, **images)
        batch = TokenBatch(input_ids, attention_mask, logits_to_keep)
        rollout, device = self.rollout, input_ids.device
        if compute_entropy:
            zero_advantage, self.zero_advantage = self.zero_advantage, None
            packs = self.packs(model, device)
            return (*logps_skipping_zero_advantage(model, batch, zero_advantage, packs), None)
        reusable = rollout.generated and capabilities.decode_matches_training_precision(self)
        if reusable and rollout.policy_logps is None:
            logps_by_row = [one.logps for one in rollout.generated or ()]
            rollout.policy_logps = pad_logps(logps_by_row, attention_mask[:, -logits_to_keep:])
        is_policy = model is self.model and not capabilities.reference_shares_base(self)
        same = is_policy or (model is not self.model and capabilities.policy_equals_reference(self))
        if rollout.policy_logps is not None and same:
            return rollout.policy_logps, None, None
        max_rows, packs = batch_size or len(input_ids), self.packs(model, device)
        logps, _ = log_probabilities(model, batch, max_rows, packs)
        rollout.policy_logps = logps if is_policy else rollout.policy_logps
        return logps, None, None

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        before = self._buffered_inputs
        inputs = super()._prepare_inputs(generation_batch)  # type: ignore[misc]
        if self._buffered_inputs is before or not capabilities.loss_ignores_micro_batching(self):
            return inputs
        size = self.args.gradient_accumulation_steps
        whole = self._buffered_inputs
        updates = [regroup_by_prompt(whole[i : i + size]) for i in range(0, len(whole), size)]
        self._buffered_inputs = [micro_batch for update in updates for micro_batch in update]
        return self._buffered_inputs[self._step % len(whole)]  # type: ignore[attr-defined]

    def _compute_loss(self, model: Any, inputs: Any) -> Any:
        skips = capabilities.can_skip_zero_advantage(self)
        self.zero_advantage = inputs["advantages"] == 0 if skips else None
        return super()._compute_loss(model, inputs)  # type: ignore[misc]


def columns_of(rows: Any) -> dict[str, list[Any]]:
    """Return a rollout's rows as columns, without those that completions make."""
    names = ["prompt", *(name for name in rows[0] if name not in NOT_ROW_COLUMNS)]
    return {name: [row[name] for row in rows] for name in names}
