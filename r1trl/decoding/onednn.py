"""Large linear layers on the CPU, faster for the few rows that are written at the same time.

PyTorch multiplies float32 matrices by MKL, which reads a weight as it lies. oneDNN, which is part
of PyTorch's builds for x86, has kernels for few rows, and is faster again where weights lie in its
own order. For the time of a rollout that is worth a copy of them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import torch

LARGE = 2**17  # weights of a layer from which on it pays
STEPS = 16  # tokens to be written from which on it pays
SHARE = 0.3  # of the free memory that the copies may take


@contextmanager
def fast_linear(model: Any, steps: int) -> Iterator[None]:
    """Have a model's large linear layers use packed weights, for so many tokens to be written."""
    layers = [layer for layer in model.modules() if can_replace(layer)] if steps >= STEPS else []
    size = sum(layer.weight.nbytes for layer in layers)
    if size > SHARE * psutil.virtual_memory().available:
        layers = []
    try:
        for layer in layers:
            layer.forward = forward_of(layer)
        yield
    finally:
        for layer in layers:
            vars(layer).pop("forward", None)


def can_replace(layer: Any) -> bool:
    """Tell whether a layer is large, and plain: on the CPU, in float32, nobody else's forward."""
    if type(layer) is not torch.nn.Linear or "forward" in vars(layer):
        return False
    weight = layer.weight
    large = weight.numel() >= LARGE and weight.device.type == "cpu"
    there = hasattr(torch.ops.mkldnn, "_linear_pointwise")  # macOS's builds have it not
    return large and weight.dtype == torch.float32 and there


def forward_of(layer: torch.nn.Linear) -> Any:
    """Return a layer's function, with a packed copy of its weights as they are now."""
    weight, bias = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach()), layer.bias
    linear = torch.ops.mkldnn._linear_pointwise

    def forward(rows: torch.Tensor) -> Any:
        if rows.dtype != torch.float32 or torch.is_autocast_enabled("cpu"):
            return torch.nn.functional.linear(rows, layer.weight, bias)
        return linear(rows, weight, bias, "none", [], "")

    return forward
