"""The trainer classes of the built-in kinds: TRL's with r1trl's mixins, and one with another loss.

Importing this module imports TRL's trainers, which takes seconds.
"""

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import binary_cross_entropy_with_logits
from trl import GRPOTrainer, RewardTrainer, RLOOTrainer, SFTTrainer
from trl.trainer.reward_trainer import DataCollatorForPreference
from trl.trainer.utils import pad

from r1trl.packing.padding_free import PaddingFreeMixin
from r1trl.training.rollouts import RolloutMixin


class PaddingFreeSFTTrainer(PaddingFreeMixin, SFTTrainer):
    """TRL's SFTTrainer; its passes contain no padding."""


class RolloutGRPOTrainer(RolloutMixin, GRPOTrainer):
    """TRL's GRPOTrainer with r1trl's rewards, samplers, decoding and passes."""


class RolloutRLOOTrainer(RolloutMixin, RLOOTrainer):
    """TRL's RLOOTrainer with r1trl's rewards, samplers, decoding and passes."""


class LabelledTexts(DataCollatorForPreference):
    """Make a batch of single texts: `input_ids` and `attention_mask`, right-padded, and `label`."""

    def torch_call(self, examples: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Return `input_ids` and `attention_mask` (rows, longest) int64, `label` (rows,) float."""
        ids = [torch.tensor(example["input_ids"]) for example in examples]
        masks = [torch.ones_like(row) for row in ids]
        size = self.pad_to_multiple_of
        return {
            "input_ids": pad(ids, padding_value=self.pad_token_id, pad_to_multiple_of=size),
            "attention_mask": pad(masks, padding_value=0, pad_to_multiple_of=size),
            "label": torch.tensor([example["label"] for example in examples], dtype=torch.float),
        }


class PointwiseTrainer(RewardTrainer):
    """TRL's RewardTrainer on single texts: binary cross-entropy on their labels.

    DeepSeek-R1 v2, section 3.1, equation 6. The rows have `completion` and `label`, from 0 to 1.
    """

    data_collator: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        pairs = self.data_collator
        self.data_collator = LabelledTexts(pairs.pad_token_id, pairs.pad_to_multiple_of)

    def _prepare_dataset(self, dataset: Any, *more: Any) -> Any:
        """Return rows with `input_ids` and `label`: TRL prepares a pair with an empty text."""
        pairs = dataset.rename_column("completion", "chosen")
        pairs = pairs.add_column("rejected", [""] * len(pairs))
        prepared = super()._prepare_dataset(pairs, *more).rename_column("chosen_ids", "input_ids")
        return prepared.select_columns(["input_ids", "label"])

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **_: Any) -> Any:
        """Return the mean loss of a batch, with the outputs if wanted."""
        labels = inputs.pop("label")
        outputs = model(**inputs, use_cache=False)
        rewards = outputs.logits[:, 0].float()
        loss = binary_cross_entropy_with_logits(rewards, labels)
        self._log_batch(inputs["attention_mask"], rewards.detach(), labels)
        return (loss, outputs) if return_outputs else loss

    def _log_batch(self, mask: torch.Tensor, rewards: torch.Tensor, labels: torch.Tensor) -> None:
        """Log what RewardTrainer logs of pairs; right is a reward above 0 for a label of 1."""
        gather, metrics = self.accelerator.gather, self._metrics["train"]
        self._total_train_tokens += gather(mask.sum()).sum().item()
        right = gather(((rewards > 0) == (labels > 0.5)).float())
        rewards = gather(rewards)
        metrics["num_tokens"] = [self._total_train_tokens]
        metrics["accuracy"].append(right.mean().item())
        for name, of in (("min", torch.min), ("mean", torch.mean), ("max", torch.max)):
            metrics[f"{name}_reward"].append(of(rewards).item())


@functools.cache
def with_rollouts(trainer_class: Any) -> Any:
    """Return a GRPO or RLOO trainer class with the rollout mixin, also for somebody's subclass."""
    plain = {GRPOTrainer: RolloutGRPOTrainer, RLOOTrainer: RolloutRLOOTrainer}
    if trainer_class in plain:
        return plain[trainer_class]

    class RolloutTrainer(RolloutMixin, trainer_class):
        """A trainer with r1trl's rewards, samplers, decoding and passes."""

    return RolloutTrainer
