"""The micro-batches of a TRL trainer, dealt to all processes by their tokens."""

from collections import defaultdict
from typing import Any

import torch

from r1trl.dealing.update import Update, updates_of
from r1trl.packing.loss import loss_ignores_micro_batching
from r1trl.packing.passes import PassesMixin


class DealtPassesMixin(PassesMixin):
    """A mixin for TRL's GRPOTrainer and RLOOTrainer; weights and metrics are those of TRL."""

    model_wrapped: Any  # the trainer's own attributes
    _buffered_inputs: Any
    _metrics: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.updates: list[Update] = []  # of the newest rollout, if its rows are dealt
        super().__init__(*args, **kwargs)

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        before = self._buffered_inputs
        inputs = super()._prepare_inputs(generation_batch)  # type: ignore[misc]
        given = self._buffered_inputs
        if given is before:
            return inputs
        self.updates = []
        if loss_ignores_micro_batching(self):
            size = self.args.gradient_accumulation_steps
            self.updates = updates_of(given, size, self._packs_rollout)
        if not self.updates:
            return inputs
        self._buffered_inputs = [batch for update in self.updates for batch in update.dealt]
        return self._buffered_inputs[self._step % len(given)]  # type: ignore[attr-defined]

    def _packs_rollout(self) -> bool:
        return self.packs(self.model_wrapped, self.accelerator.device)

    def _compute_loss(self, model: Any, inputs: Any) -> Any:
        found = ((u, i) for u in self.updates if (i := u.position(inputs)) is not None)
        update, position = next(found, (None, 0))
        if update is None:
            return super()._compute_loss(model, inputs)
        logged, self._metrics = self._metrics, {"train": defaultdict(list)}
        loss = super()._compute_loss(model, inputs)
        self._metrics = logged
        if update.record(position, self.passed):
            self._log_as_given(model, update)
        return loss

    def _log_as_given(self, model: Any, update: Update) -> None:
        """Log what TRL does for an update: means of its own micro-batches, from known values."""
        for given, self.known in update.in_given_order():
            with torch.no_grad():
                super()._compute_loss(model, given)
        self.known = None
