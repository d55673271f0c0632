"""Fine-tuning without padding."""

from typing import Any

import torch

from r1trl.texts import filled, parts


class Unpadded:
    """A model that TRL has given its `fused_lm_head`, and that passes no padding.

    The rows of a batch that is padded on the right are passed in parts of nearly equal length.
    """

    def __init__(self, model: Any) -> None:
        self.model = model

    def __call__(self, **inputs: Any) -> Any:
        """Return what it says of the whole batch; where full logits are asked for, as it is."""
        if not inputs.get("fused_lm_head"):
            return self.model(**inputs)
        lengths, width = inputs.pop("attention_mask").sum(1), inputs["input_ids"].shape[1]
        order = lengths.argsort(descending=True, stable=True)
        found = []
        for rows in parts(order, lengths.tolist(), len(order), split=True):
            longest = max(2, int(lengths[rows].max()))
            own = {n: v[rows][:, :longest] if torch.is_tensor(v) else v for n, v in inputs.items()}
            found.append(self.model(**own))
        names = ("log_probs", "entropy", "is_top1", "label_mask")
        columns = {name: [out[name] for out in found] for name in names}
        back = order.argsort()
        return type(found[0])(
            **{
                n: torch.cat([filled(c, width - 1) for c in column])[back]
                for n, column in columns.items()
            }
        )
