"""Rollouts in training: how completions are drawn, what they are worth, and the passes over them.

A mixin for TRL's GRPOTrainer and RLOOTrainer made of thin wrappers around five of their methods;
tests/test_trl_contract.py fails first when TRL moves one. What is learned is what TRL's own code
would learn: what is known already or would be thrown away is not computed, that is all.
"""

import time
from typing import Any

import torch
from trl.models import unwrap_model_for_generation

from r1trl.decoding.decode import GeneratedTokens, decode
from r1trl.packing.logprobs import (
    log_probabilities,
    logps_skipping_zero_advantage,
    regroup_by_prompt,
)
from r1trl.packing.tokens import TokenBatch
from r1trl.rewards.outcomes import Scores
from r1trl.rewards.scorer import Scorer
from r1trl.rewards.setting import NOT_ROW_COLUMNS
from r1trl.training.capabilities import (
    counts_rows_alike,
    keeps_precision,
    local_sampling_params,
    of_adapter,
    skips_silent,
    texts_kept,
    unmoved,
)
from r1trl.training.prompts_and_groups import StageSamplers, roll_out


class PrecomputedReward:
    """What TRL holds in place of a reward: reads its values from the batch that was just scored."""

    def __init__(self, name: str, rollouts: "RolloutMixin | None" = None) -> None:
        self.__name__, self.rollouts = name, rollouts

    def __call__(self, *, log_metric: Any = None, **_: Any) -> list[float | None]:
        """Return the values; log what share of the samples got none, and the seconds it took."""
        assert self.rollouts
        scores = self.rollouts.scores
        if log_metric:
            for metric, value in scores.metrics(self.__name__, self.rollouts.period).items():
                log_metric(metric, value)
        return scores.values[self.__name__]


class RolloutMixin:
    """The mixin; `prepare` is called once, right after the trainer has been constructed."""

    args: Any  # the trainer's own
    model: Any
    model_wrapped: Any
    accelerator: Any
    processing_class: Any
    state: Any
    max_completion_length: int
    reward_funcs: list[Any]
    _buffered_inputs: Any
    _step: int

    scorer: Scorer
    scores: Scores
    sampling: StageSamplers | None = None
    batch: dict[str, Any] | None = None
    period: float | None = None  # seconds between the last two rollouts
    scored_at: float | None = None
    inputs: Any = None  # the rows of the rollout that is being drawn
    texts: tuple[Any, ...] = ()  # its prompts and completions
    drawn: list[GeneratedTokens] | None = None  # its completions, where they were drawn here
    known: torch.Tensor | None = None  # their log-probabilities by the policy, where they are known
    silent: torch.Tensor | None = None  # rows of the micro-batch that move nothing

    def prepare(self, scorer: Scorer, sampling: StageSamplers | None) -> None:
        """Give the trainer its scorer and, where there are any, its samplers."""
        self.scorer, self.sampling = scorer, sampling
        scorer.warm()
        for slot in self.reward_funcs:
            slot.rollouts = self

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        if self.sampling is None or not self.model.training:
            return self._rolled_out(inputs)
        return roll_out(self, len(inputs), self._rolled_out)

    def _rolled_out(self, inputs: Any) -> Any:
        self.inputs, self.drawn, self.known = inputs, None, None
        with texts_kept(self):
            return super()._generate_and_score_completions(inputs)  # type: ignore[misc]

    def _generate_single_turn(self, prompt_ids: Any, images: Any, fields: Any, *more: Any) -> Any:
        method = None if images or fields else local_sampling_params(self)
        if method is None:
            return super()._generate_single_turn(prompt_ids, images, fields, *more)  # type: ignore[misc]
        with unwrap_model_for_generation(
            self.model_wrapped,
            self.accelerator,
            gather_deepspeed3_params=self.args.ds3_gather_for_generation,
            gradient_checkpointing_kwargs=self.args.gradient_checkpointing_kwargs,
        ) as model:
            rooms = [self.max_completion_length] * len(prompt_ids)
            heard = self._begin_scoring if self.scorer.can_submit else None
            told = keeps_precision(self)
            self.drawn = decode(model, prompt_ids, rooms, method, None, heard, told)
        ids = [one.ids for one in self.drawn]
        return (ids, None) if more else ids  # GRPO's method has an argument and a result more

    def _begin_scoring(self, rows: list[int], ids: list[list[int]]) -> None:
        """Have completions scored that have ended, while others are being written."""
        texts = self.processing_class.batch_decode(ids, skip_special_tokens=True)
        columns = columns_of([self.inputs[row] for row in rows])
        columns |= {"completion": texts, "completion_ids": ids}
        self.scorer.begin(columns, self.state.global_step)

    def _calculate_rewards(self, inputs: Any, prompts: Any, completions: Any, ids: Any) -> Any:
        self.texts = (prompts, completions)
        columns = columns_of(inputs)
        columns |= {"completion": completions, "completion_ids": ids}
        step = self.state.global_step
        self.scores = self.scorer.score(columns, step)
        self.batch = {**columns, "step": step}
        now = time.monotonic()
        self.period = now - self.scored_at if self.scored_at else None
        self.scored_at = now
        return super()._calculate_rewards(inputs, prompts, completions, ids)  # type: ignore[misc]

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,  # the pass that is learned from asks for it
        compute_aux_loss: bool = False,
        **images: Any,
    ) -> Any:
        if compute_aux_loss or any(value is not None for value in images.values()):
            given = (input_ids, attention_mask, logits_to_keep, batch_size, compute_entropy)
            passed = super()._get_per_token_logps_and_entropies  # type: ignore[misc]
            return passed(model, *given, compute_aux_loss, **images)
        texts = TokenBatch(input_ids, attention_mask, logits_to_keep)
        if compute_entropy:
            silent, self.silent = self.silent, None
            return (*logps_skipping_zero_advantage(model, texts, silent), None)
        if self.drawn and self.known is None and keeps_precision(self):
            self.known = pad_logps(self.drawn, attention_mask[:, -logits_to_keep:])
        of_policy = model is self.model and not of_adapter(self)
        same = of_policy or (model is not self.model and unmoved(self))
        if self.known is not None and same:
            return self.known, None, None
        logps, _ = log_probabilities(model, texts, batch_size or len(input_ids))
        self.known = logps if of_policy else self.known
        return logps, None, None

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        before = self._buffered_inputs
        inputs = super()._prepare_inputs(generation_batch)  # type: ignore[misc]
        if self._buffered_inputs is before or not counts_rows_alike(self):
            return inputs
        size = self.args.gradient_accumulation_steps
        whole = self._buffered_inputs
        steps = [regroup_by_prompt(whole[i : i + size]) for i in range(0, len(whole), size)]
        self._buffered_inputs = [batch for step in steps for batch in step]
        return self._buffered_inputs[self._step % len(whole)]

    def _compute_loss(self, model: Any, inputs: Any) -> Any:
        self.silent = inputs["advantages"] == 0 if skips_silent(self) else None
        return super()._compute_loss(model, inputs)  # type: ignore[misc]


def columns_of(inputs: Any) -> dict[str, list[Any]]:
    """Return a rollout's rows as columns, those that completions make left out."""
    names = [name for name in inputs[0] if name not in NOT_ROW_COLUMNS]
    return {name: [row[name] for row in inputs] for name in ["prompt", *names]}


def pad_logps(drawn: list[GeneratedTokens], mask: torch.Tensor) -> torch.Tensor:
    """Return the log-probabilities of what was drawn, as wide as the mask and 0 outside of it."""
    width = mask.shape[1]
    rows = [one.logps + [0.0] * (width - len(one.logps)) for one in drawn]
    return torch.tensor(rows, device=mask.device) * mask
