"""The passes of training on rollouts, without padding and with shared prompts passed once."""

from typing import Any

import torch

from r1trl.packing.logprobs import (
    LogpsAndEntropies,
    log_probabilities,
    logps_with_gradient_where_needed,
)
from r1trl.packing.loss import zero_advantage_rows
from r1trl.packing.models import adds_noise_by_length, is_plain_decoder, unwrapped
from r1trl.packing.packed import can_pack
from r1trl.packing.tokens import TokenBatch


class PassesMixin:
    """A mixin for TRL's GRPOTrainer and RLOOTrainer; weights and metrics are those of TRL."""

    args: Any  # the trainer's own attributes
    model: Any
    accelerator: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.zero_advantage: torch.Tensor | None = None  # rows of the current micro-batch
        self.passed = LogpsAndEntropies(torch.empty(0), None)  # of the newest pass of a loss
        self.known: LogpsAndEntropies | None = None  # for a loss that only logs
        self._packs: dict[int, bool] = {}  # by model
        super().__init__(*args, **kwargs)

    def packs(self, model: Any, device: torch.device) -> bool:
        """Return True if a model passes packed rows; probed at its first pass, a collective.

        Not earlier, because sharded weights cannot be run before training has begun.
        """
        if (key := id(unwrapped(model))) not in self._packs:
            self._packs[key] = can_pack(model, device)
        return self._packs[key]

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,  # True for the pass of a loss, and only for that
        compute_aux_loss: bool = False,
        **images: Any,
    ) -> Any:
        if compute_entropy and self.known:
            return (*self.known, None)
        other = compute_aux_loss or any(value is not None for value in images.values())
        if other or not is_plain_decoder(model) or adds_noise_by_length(model):
            given = (input_ids, attention_mask, logits_to_keep, batch_size, compute_entropy)
            forward = super()._get_per_token_logps_and_entropies  # type: ignore[misc]
            logps, entropies, aux_loss = forward(model, *given, compute_aux_loss, **images)
            self.passed = LogpsAndEntropies(logps, entropies)
            return logps, entropies, aux_loss
        batch = TokenBatch(input_ids, attention_mask, logits_to_keep)
        if compute_entropy:
            packs = self.packs(model, input_ids.device)
            self.passed = logps_with_gradient_where_needed(model, batch, self.zero_advantage, packs)
            return (*self.passed, None)
        return self.logps_at_rollout(model, batch, batch_size or len(input_ids)), None, None

    def logps_at_rollout(self, model: Any, batch: TokenBatch, max_rows: int) -> torch.Tensor:
        """Return the log-probabilities of a rollout by the policy or the reference."""
        return log_probabilities(model, batch, max_rows, self.packs(model, batch.ids.device)).logps

    def _compute_loss(self, model: Any, inputs: Any) -> Any:
        if self.known is None:
            self.zero_advantage = zero_advantage_rows(self, inputs["advantages"])
        return super()._compute_loss(model, inputs)  # type: ignore[misc]
