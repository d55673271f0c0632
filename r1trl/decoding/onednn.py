"""Large linear layers on the CPU, made faster for the few rows of a decoding step.

PyTorch multiplies float32 matrices with MKL, which reads a weight in its own layout. oneDNN, part
of PyTorch's builds for x86, has kernels for few rows that are faster with weights in its layout.
For the time of a rollout that is worth a copy of them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import torch

MIN_WEIGHTS = 2**17  # of a layer for its replacement to be faster
MIN_NEW_TOKENS = 16  # for the copies to be worth their time
COPY_MEMORY_FRACTION = 0.3  # of the free memory that the copies may take


@contextmanager
def fast_linear(model: Any, new_tokens: int) -> Iterator[None]:
    """Replace the forward of a model's large linear layers while up to `new_tokens` are decoded.

    The layers get packed copies of their weights, which must not change meanwhile. This mutates the
    model (`layer.forward`), so it is not thread-safe; on exit the layers are as before. Nothing is
    replaced if `new_tokens` is below `MIN_NEW_TOKENS` or memory is short.
    """
    worth = new_tokens >= MIN_NEW_TOKENS
    layers = [layer for layer in model.modules() if can_replace(layer)] if worth else []
    size = sum(layer.weight.nbytes for layer in layers)
    if size > COPY_MEMORY_FRACTION * psutil.virtual_memory().available:
        layers = []
    try:
        for layer in layers:
            layer.forward = packed_forward(layer)
        yield
    finally:
        for layer in layers:
            vars(layer).pop("forward", None)


def can_replace(layer: Any) -> bool:
    """Return True if a layer is a large plain float32 `Linear` on the CPU, its forward its own."""
    if type(layer) is not torch.nn.Linear or "forward" in vars(layer):
        return False
    weight = layer.weight
    large = weight.numel() >= MIN_WEIGHTS and weight.device.type == "cpu"
    available = hasattr(torch.ops.mkldnn, "_linear_pointwise")  # not in builds for macOS
    return large and weight.dtype == torch.float32 and available


def packed_forward(layer: torch.nn.Linear) -> Any:
    """Return a layer's forward with a copy of its current weights in oneDNN's layout."""
    weight, bias = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach()), layer.bias
    linear = torch.ops.mkldnn._linear_pointwise

    def forward(rows: torch.Tensor) -> Any:
        if rows.dtype != torch.float32 or torch.is_autocast_enabled("cpu"):
            return torch.nn.functional.linear(rows, layer.weight, bias)
        return linear(rows, weight, bias, "none", [], "")

    return forward
