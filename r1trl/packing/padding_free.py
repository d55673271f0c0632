"""Supervised fine-tuning without padding."""

from typing import Any

from r1trl.packing.models import adds_noise_by_length
from r1trl.packing.packed import PackedRows, can_pack
from r1trl.packing.tokens import TokenBatch


class PackedModel:
    """A model with TRL's fused head that passes a right-padded batch without its padding."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def __call__(self, **inputs: Any) -> Any:
        """Return the output for a batch, its fields (rows, columns - 1), 0 for padding.

        The batch is passed with its padding if it asks for full logits or has one column.
        """
        width = inputs["input_ids"].shape[1]
        if not inputs.get("fused_lm_head") or width < 2:
            return self.model(**inputs)
        packed = PackedRows(TokenBatch(inputs["input_ids"], inputs["attention_mask"], width))
        out = packed.forward(self.model, inputs["labels"])
        names = ("log_probs", "entropy", "is_top1", "label_mask")
        return type(out)(**{name: packed.unpack(out[name])[:, 1:] for name in names})


class PaddingFreeMixin:
    """A mixin for TRL's SFTTrainer: training losses are computed without padding.

    `packs` is the answer of `can_pack`; None until the first loss that could be packed, as sharded
    weights cannot be run earlier.
    """

    model: Any
    aux_loss_enabled: bool
    packs: bool | None = None

    def compute_loss(self, model: Any, inputs: Any, *more: Any, **named: Any) -> Any:
        """Return the loss of a batch; the first call must be made by all processes."""
        plain = inputs.keys() == {"input_ids", "attention_mask", "labels"} and self.model.training
        possible = plain and not self.aux_loss_enabled and not adds_noise_by_length(model)
        if possible and self.packs is None:
            self.packs = can_pack(model, inputs["input_ids"].device)
        wrapped = PackedModel(model) if possible and self.packs else model
        return super().compute_loss(wrapped, inputs, *more, **named)  # type: ignore[misc]
