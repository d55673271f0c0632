"""Large layers have packed weights during decoding, and only then."""

from typing import Any

import pytest
import torch
from torch import nn

from r1trl.decoding import onednn
from r1trl.decoding.onednn import MIN_NEW_TOKENS, MIN_WEIGHTS, fast_linear


class Subclass(nn.Linear):
    """A layer that may have a forward of its own, which must not be replaced."""


def make() -> nn.ModuleDict:
    """Return layers of all kinds."""
    torch.manual_seed(1)
    small, large = (64, 64), (256, 2 * MIN_WEIGHTS // 256)
    return nn.ModuleDict(
        {
            "large": nn.Linear(*large),
            "without bias": nn.Linear(*large, bias=False),
            "small": nn.Linear(*small),
            "subclass": Subclass(*large),
            "bfloat16 weights": nn.Linear(*large, dtype=torch.bfloat16),
        }
    )


def replaced(layers: nn.ModuleDict) -> set[str]:
    """Return the names of the layers whose forward is replaced."""
    return {name for name, layer in layers.items() if "forward" in vars(layer)}


@pytest.mark.parametrize("rows", [(1, 1), (5, 1), (3, 40)])
def test_large_layers_compute_the_same(rows: tuple[int, int]) -> None:
    layers = make()
    given = torch.randn(*rows, 256)
    names = ["large", "without bias"]
    wanted = [layers[name](given) for name in names]
    with torch.inference_mode(), fast_linear(layers, MIN_NEW_TOKENS):
        assert replaced(layers) == set(names)
        for name, before in zip(names, wanted, strict=True):
            torch.testing.assert_close(layers[name](given), before, atol=1e-5, rtol=1e-5)
    assert not replaced(layers)


def test_weights_are_those_at_the_start() -> None:
    layers, given, found = make(), torch.ones(2, 256), []
    for _ in range(2):
        with torch.inference_mode(), fast_linear(layers, MIN_NEW_TOKENS):
            found.append(layers["large"](given))
        torch.testing.assert_close(found[-1], layers["large"](given), atol=1e-5, rtol=1e-5)
        with torch.no_grad():
            layers["large"].weight.mul_(3.0)
    assert not torch.allclose(*found)


def test_other_dtypes_are_computed_as_before() -> None:
    layers, given = make(), torch.ones(2, 256)
    with torch.inference_mode(), fast_linear(layers, MIN_NEW_TOKENS), torch.autocast("cpu"):
        assert layers["large"](given).dtype == torch.bfloat16
        assert layers["large"](given.bfloat16()).dtype == torch.bfloat16


def test_copies_are_not_made_if_memory_is_short(monkeypatch: Any) -> None:
    monkeypatch.setattr(onednn, "COPY_MEMORY_FRACTION", 0.0)
    layers = make()
    with fast_linear(layers, MIN_NEW_TOKENS):
        assert not replaced(layers)


def test_few_new_tokens_are_not_worth_it() -> None:
    layers = make()
    with fast_linear(layers, MIN_NEW_TOKENS - 1):
        assert not replaced(layers)


def test_an_error_leaves_layers_as_they_were() -> None:
    layers = make()
    with pytest.raises(ValueError, match="shape"), fast_linear(layers, MIN_NEW_TOKENS):
        raise ValueError("shape")
    assert not replaced(layers)


def test_layers_are_trained_as_before() -> None:
    layers, given = make(), torch.ones(2, 256)
    with torch.inference_mode(), fast_linear(layers, MIN_NEW_TOKENS):
        layers["large"](given)
    layers["large"](given).sum().backward()
    assert layers["large"].weight.grad is not None
