"""Attention for packed rows: each row attends to itself, every other layer sees one sequence.

It takes the place of transformers' `sdpa` and acts as that unless a pass brings a layout. A name of
its own would not do: transformers compares with "sdpa" in many places (continuous batching refuses
other names, some models build their masks for it only), and gradient checkpointing attends again
during the backward pass, after any switch around the forward pass. `sdpa` leaves the kernel to
torch, and so does this: on GPUs it is torch's flash attention for rows of any length, where that
takes what it is given (`flash_takes`), elsewhere `scaled_dot_product_attention`. A model loaded
with another `attn_implementation` is not packed.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from r1trl.packing.layout import PackedLayout, moved


def packed_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    packed_layout: PackedLayout | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attend as `sdpa` does; with a layout, row by row.

    With a layout, `query` is (1, heads, tokens, dim), `key` and `value` may have fewer heads, and
    the result is (1, tokens, heads, dim).
    """
    if packed_layout is None:
        out, _ = sdpa_attention_forward(module, query, key, value, attention_mask, **options)
        return out, None
    if attention_mask is not None and attention_mask.numel() == 1:  # the placeholder came through
        packed_layout.attention_calls += 1
    states = [each[0].transpose(0, 1) for each in (query, key, value)]
    if flash_takes(states, options.get("dropout") or 0.0):
        return attend_by_segments(states, packed_layout, options.get("scaling"))[None], None
    return attend_by_buckets(module, states, packed_layout, options)[None], None


def attend_by_buckets(
    module: Any, states: Sequence[torch.Tensor], layout: PackedLayout, options: dict[str, Any]
) -> torch.Tensor:
    """Attend to the rows of each bucket in one call of `sdpa`: (tokens, heads, dim).

    `states` are queries, keys and values, each (tokens, heads, dim), keys and values of fewer heads
    if those are shared; `options` are those that transformers gives to `sdpa`.
    """
    buckets = [moved(bucket, states[0].device) for bucket in layout.buckets]
    sizes = [len(bucket.valid_index) for bucket in buckets]
    prompts = [each[: layout.prompt_tokens] for each in states[1:]] if layout.prompts else []
    outputs = []
    for bucket, *own in zip(buckets, *(torch.split(x, sizes) for x in states), strict=True):
        queries, *keys_values = (gather_rows(each, bucket.gather_index) for each in own)
        if bucket.prefix_index is not None:
            prefixes = [gather_rows(each, bucket.prefix_index) for each in prompts]
            keys_values = [torch.cat(both, 1) for both in zip(prefixes, keys_values, strict=True)]
        rows = [each.transpose(1, 2) for each in (queries, *keys_values)]
        out, _ = sdpa_attention_forward(module, *rows, bucket.mask, **options)
        outputs.append(out.flatten(0, 1).index_select(0, bucket.valid_index))
    return torch.cat(outputs)


def attend_by_segments(
    states: Sequence[torch.Tensor], layout: PackedLayout, scale: float | None
) -> torch.Tensor:
    """Attend to all rows in one call of torch's flash attention: (tokens, heads, dim).

    `states` are as those of `attend_by_buckets`. A row that continues a shared prompt has the keys
    of the prompt before its own: with fewer queries than keys, the kernel's causal attention is
    that of the last ones (as in `torch.nn.attention.bias.causal_lower_right`).
    """
    kernel, segments = varlen_kernel(), moved(layout.segments, states[0].device)
    assert kernel is not None, "asked for by `flash_takes`"
    query, key, value = (each.to(dtype_of_attention(states[0])) for each in states)
    if segments.key_index is not None:
        key, value = (each.index_select(0, segments.key_index) for each in (key, value))
    out: torch.Tensor = kernel(
        *(query, key, value),
        *(segments.cu_seq_q, segments.cu_seq_k, segments.max_q, segments.max_k),
        scale=scale,
        window_size=(-1, 0),  # causal
        enable_gqa=True,
    )
    return out


def flash_takes(states: Sequence[torch.Tensor], dropout: float) -> bool:
    """Return True if torch's flash attention for rows of any length takes these states.

    `states` are queries, keys and values. The kernel is for CUDA devices from compute capability
    8.0 on, half precision, equally wide keys and values, and no dropout; heads wider than 192 have
    no backward pass on some of these cards. `torch.backends.cuda.enable_flash_sdp(False)` turns it
    off, as it does inside of `sdpa`.
    """
    device, widths = states[0].device, {each.shape[-1] for each in states}
    enabled: Any = torch.backends.cuda.flash_sdp_enabled  # it has no types
    if device.type != "cuda" or dropout or not enabled():
        return False
    half = dtype_of_attention(states[0]) in (torch.float16, torch.bfloat16)
    width = max(widths)
    fits = len(widths) == 1 and width <= 192 and width % 8 == 0
    recent = torch.cuda.get_device_capability(device) >= (8, 0)
    return half and fits and recent and varlen_kernel() is not None


def dtype_of_attention(query: torch.Tensor) -> torch.dtype:
    """Return the dtype that `sdpa` attends in: autocast's, if that is on."""
    kind = query.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else query.dtype


@functools.cache
def varlen_kernel() -> Callable[..., Any] | None:
    """Return `torch.nn.attention.varlen.varlen_attn`; None if this torch has none for shared heads.

    Older versions of torch lack the module, or its parameters; AMD's has kernels of its own, which
    nobody has tried here.
    """
    if torch.version.hip:
        return None
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    needed = {"scale", "window_size", "enable_gqa"}
    return varlen_attn if needed <= inspect.signature(varlen_attn).parameters.keys() else None


def register_packed_attention() -> None:
    """Replace transformers' `sdpa` by `packed_attention`, for all models of this process.

    Another function registered as `sdpa` is left in place.
    """
    if AttentionInterface()["sdpa"] is sdpa_attention_forward:
        AttentionInterface.register("sdpa", packed_attention)


def gather_rows(tokens: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Gather tokens (tokens, …) into rows (rows, columns, …); `index` is (rows, columns) int64."""
    return tokens.index_select(0, index.flatten()).view(*index.shape, *tokens.shape[1:])
