"""Fine-tuning without padding."""

from typing import Any

from r1trl.packing.packed import Packed
from r1trl.packing.tokens import TokenBatch


class PackedModel:
    """A model that TRL has given its `fused_lm_head`, and that passes no padding."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def __call__(self, **inputs: Any) -> Any:
        """Return what it says of a batch; where full logits are asked for, as it is."""
        width = inputs["input_ids"].shape[1]
        if not inputs.get("fused_lm_head") or width < 2:
            return self.model(**inputs)
        packed = Packed(TokenBatch(inputs["input_ids"], inputs["attention_mask"], width))
        out = packed.passed(self.model, inputs["labels"])
        names = ("log_probs", "entropy", "is_top1", "label_mask")
        return type(out)(**{name: packed.put(out[name])[:, 1:] for name in names})
