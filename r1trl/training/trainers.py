"""The trainer classes of the built-in kinds: TRL's with r1trl's mixins, and one of our own.

Importing this module imports TRL's trainers, which takes seconds.
"""

import functools
from typing import Any

import torch
from torch.nn.functional import binary_cross_entropy_with_logits
from transformers import Trainer
from trl import GRPOTrainer, RLOOTrainer, SFTTrainer

from r1trl.packing.padding_free import PaddingFreeMixin
from r1trl.training.rollouts import RolloutMixin


class PaddingFreeSFTTrainer(PaddingFreeMixin, SFTTrainer):
    """TRL's SFTTrainer; its passes contain no padding."""


class RolloutGRPOTrainer(RolloutMixin, GRPOTrainer):
    """TRL's GRPOTrainer with r1trl's rewards, samplers, decoding and passes."""


class RolloutRLOOTrainer(RolloutMixin, RLOOTrainer):
    """TRL's RLOOTrainer with r1trl's rewards, samplers, decoding and passes."""


class PointwiseTrainer(Trainer):
    """Binary cross-entropy on a label per text (DeepSeek-R1 v2, section 3.1, equation 6)."""

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **_: Any) -> Any:
        """Return the mean loss of a batch, with the outputs if wanted.

        `inputs` has `labels` (rows,), 0 or 1; the model returns logits (rows, 1).
        """
        labels = inputs.pop("labels").to(torch.float32)
        outputs = model(**inputs)
        loss = binary_cross_entropy_with_logits(outputs.logits[:, 0].float(), labels)
        return (loss, outputs) if return_outputs else loss


@functools.cache
def with_rollouts(trainer_class: Any) -> Any:
    """Return a GRPO or RLOO trainer class with the rollout mixin, also for somebody's subclass."""
    plain = {GRPOTrainer: RolloutGRPOTrainer, RLOOTrainer: RolloutRLOOTrainer}
    if trainer_class in plain:
        return plain[trainer_class]

    class RolloutTrainer(RolloutMixin, trainer_class):
        """A trainer with r1trl's rewards, samplers, decoding and passes."""

    return RolloutTrainer
