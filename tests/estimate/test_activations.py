"""The formulas of activations against PyTorch's own tracker, on tensors without memory."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.mem_tracker import MemTracker
from transformers import AttentionInterface, AutoConfig, AutoModelForCausalLM

from r1trl.estimate.activations import Activations, Precision
from r1trl.models.shape import Shape

pytestmark = pytest.mark.long
TOKENS = 2048
SHAPE = Shape("llama", 1024, 4096, 2, 8, 2, 128, 1000, True)
CPU = torch.device("cpu")


def causal(
    module: Any, query: Any, key: Any, value: Any, mask: Any, **_: Any
) -> tuple[torch.Tensor, None]:
    """Attend without a mask, which fake tensors would make."""
    attend = torch.nn.functional.scaled_dot_product_attention
    return attend(query, key, value, is_causal=True, enable_gqa=True).transpose(
        1, 2
    ).contiguous(), None


def tracked(shape: Shape, precision: Precision, checkpointing: bool) -> tuple[int, int]:
    """Return the bytes that a decoder keeps when it has been passed, and the most in all.

    Without its weights.
    """
    AttentionInterface.register("causal_without_mask", causal)
    names = [n for n in Shape.__dataclass_fields__ if n != "model_type"]
    config = AutoConfig.for_model(shape.model_type, **{n: getattr(shape, n) for n in names})
    half = precision == "half"
    with FakeTensorMode():
        dtype = torch.bfloat16 if half else torch.float32
        made = {"attn_implementation": "causal_without_mask", "dtype": dtype}
        model = AutoModelForCausalLM.from_config(config, **made).train()
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        tracker, ids = MemTracker(), torch.zeros(1, TOKENS, dtype=torch.long)
        tracker.track_external(model)
        with tracker:
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "autocast"):
                hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state
            kept = tracker.get_tracker_snapshot("current")[CPU]["Total"]
            hidden.float().sum().backward()
    weights = shape.parameters * (2 if half else 4)
    peak = tracker.get_tracker_snapshot("peak")[CPU]["Total"]
    return kept - weights, peak - weights


def packed_copy(acts: Activations) -> int:
    """Return the bytes of a token that packed attention copies; `causal` does not."""
    return acts.size * acts.shape.query_size


def copies(acts: Activations) -> int:
    """Return the bytes of the copies of a layer's weights that autocast makes."""
    return 2 * acts.shape.layer if acts.precision == "autocast" else 0


@pytest.mark.parametrize("family", ["llama", "qwen3"])
@pytest.mark.parametrize("precision", ["float32", "autocast", "half"])
def test_what_a_layer_keeps_is_what_the_tracker_counts(family: str, precision: Precision) -> None:
    two = replace(SHAPE, model_type=family)
    four = replace(two, num_hidden_layers=4)
    acts = Activations(two, precision)
    one_layer = (tracked(four, precision, False)[0] - tracked(two, precision, False)[0]) // 2
    expected = TOKENS * (acts.layer - packed_copy(acts)) + copies(acts)
    assert one_layer == pytest.approx(expected, rel=0.001)


@pytest.mark.parametrize("precision", ["float32", "autocast", "half"])
def test_with_checkpointing_one_layer_is_computed_again(precision: Precision) -> None:
    acts = Activations(SHAPE, precision)
    kept, peak = tracked(SHAPE, precision, True)
    assert kept == pytest.approx(acts.kept(TOKENS, True), rel=0.01)
    expected = acts.passed(TOKENS, True) - TOKENS * packed_copy(acts) + copies(acts)
    assert peak - kept == pytest.approx(expected, rel=0.05)
