"""What the kind promises."""

import torch
from newname import scale


def test_every_weight_is_multiplied() -> None:
    model = torch.nn.Linear(3, 2)
    before = [weights.clone() for weights in model.parameters()]
    scale(model, 0.5)
    for was, now in zip(before, model.parameters(), strict=True):
        assert torch.equal(0.5 * was, now)
