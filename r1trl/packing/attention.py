"""Attention for packed rows: each row attends to itself, every other layer sees one sequence.

It takes the place of transformers' `sdpa` and acts as that unless a pass brings a layout. A name of
its own would not do: transformers compares with "sdpa" in many places (continuous batching refuses
other names, some models build their masks for it only), and gradient checkpointing attends again
during the backward pass, after any switch around the forward pass.
"""

from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any, Self

import torch
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

CALL_OVERHEAD_TOKENS = 256  # tokens of padding that take as long as a further call


@dataclass(frozen=True)
class Bucket:
    """Rows of similar length, which attend in one call; neighbours in the packed sequence.

    `gather_index` (rows, longest) int64 is the index of each token among the bucket's tokens;
    entries past a row's end are arbitrary. `valid_index` (tokens of the bucket,) int64 is the index
    of each token in the flattened (rows, longest). If the rows continue shared prompts,
    `prefix_index` (rows, longest prefix) int64 is the index of each prefix token among the tokens
    of all prompts, and `mask` (rows or 1, 1, longest, longest prefix + longest) bool is True for
    the keys that a query attends to.
    """

    gather_index: torch.Tensor
    valid_index: torch.Tensor
    prefix_index: torch.Tensor | None = None
    mask: torch.Tensor | None = None

    def to(self, device: torch.device) -> Self:
        """Return the bucket on a layer's device: a model may be spread over several."""
        if self.gather_index.device == device:
            return self
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(
            self, **{name: value.to(device) for name, value in values.items() if value is not None}
        )


class PackedLayout:
    """The buckets of a packed sequence in their order; the first `prompt_buckets` hold prompts.

    `attention_calls` counts the calls of `packed_attention` without a mask of the model's own.
    """

    # Not a dataclass: FSDP would copy one, and `attention_calls` would be counted in the copy.
    def __init__(self) -> None:
        self.buckets: list[Bucket] = []
        self.prompt_buckets = self.attention_calls = 0


def packed_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    packed_layout: PackedLayout | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attend as `sdpa` does; with a layout, attend bucket by bucket.

    With a layout, `query` is (1, heads, tokens, dim), `key` and `value` may have fewer heads, and
    the result is (1, tokens, heads, dim).
    """
    if packed_layout is None:
        out, _ = sdpa_attention_forward(module, query, key, value, attention_mask, **options)
        return out, None
    if attention_mask is not None and attention_mask.numel() == 1:  # the placeholder came through
        packed_layout.attention_calls += 1
    buckets = [bucket.to(query.device) for bucket in packed_layout.buckets]
    sizes = [len(bucket.valid_index) for bucket in buckets]
    by_bucket = [torch.split(states[0].transpose(0, 1), sizes) for states in (query, key, value)]
    count = packed_layout.prompt_buckets
    prompts = [torch.cat(states[:count]) for states in by_bucket[1:] if count]
    outputs = []
    for bucket, *own in zip(buckets, *by_bucket, strict=True):
        queries, *keys_values = (gather_rows(states, bucket.gather_index) for states in own)
        if bucket.prefix_index is not None:
            prefixes = [gather_rows(states, bucket.prefix_index) for states in prompts]
            keys_values = [torch.cat(both, 1) for both in zip(prefixes, keys_values, strict=True)]
        rows = [states.transpose(1, 2) for states in (queries, *keys_values)]
        out, _ = sdpa_attention_forward(module, *rows, bucket.mask, **options)
        outputs.append(out.flatten(0, 1).index_select(0, bucket.valid_index))
    return torch.cat(outputs)[None], None


def register_packed_attention() -> None:
    """Replace transformers' `sdpa` by `packed_attention`, for all models of this process.

    Another function registered as `sdpa` is left in place.
    """
    if AttentionInterface()["sdpa"] is sdpa_attention_forward:
        AttentionInterface.register("sdpa", packed_attention)


def gather_rows(tokens: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Gather tokens (tokens, …) into rows (rows, columns, …); `index` is (rows, columns) int64."""
    return tokens.index_select(0, index.flatten()).view(*index.shape, *tokens.shape[1:])


def bucket_by_length(lengths: torch.Tensor) -> list[torch.Tensor]:
    """Return the row numbers of each bucket, longest rows first; empty rows are in none.

    The buckets minimise the padded tokens plus `CALL_OVERHEAD_TOKENS` per bucket, by dynamic
    programming over descending lengths. `lengths` is (rows,) int64; the device is synchronised.
    """
    order = lengths.argsort(descending=True, stable=True)
    descending = [length for length in lengths[order].tolist() if length]
    total = len(descending)
    ends = [i for i in range(1, total) if descending[i] < descending[i - 1]] + [total]
    best: dict[int, tuple[float, int]] = {0: (0.0, 0)}  # end -> cost so far, start of last bucket
    for end in ends if total else ():
        best[end] = min(
            (cost + CALL_OVERHEAD_TOKENS + (end - start) * descending[start], start)
            for start, (cost, _) in best.items()
        )
    cuts = [total]
    while cuts[-1]:
        cuts.append(best[cuts[-1]][1])
    return [order[start:end] for start, end in pairwise(reversed(cuts))]


def prefix_causal_mask(lengths: torch.Tensor, width: int, count: int) -> torch.Tensor:
    """Return the mask of `count` tokens after a prefix: (rows, 1, count, width + count) bool.

    `lengths` (rows,) int64 are those of the prefixes, right-padded to `width`. If all are of that
    length, the mask has one row, which stands for all.
    """
    device, rows = lengths.device, 1 if bool((lengths == width).all()) else len(lengths)
    prefix = torch.arange(width, device=device) < lengths[:rows, None]
    prefix = prefix[:, None, None].expand(-1, 1, count, -1)
    causal = torch.ones((count, count), dtype=torch.bool, device=device).tril()
    return torch.cat([prefix, causal.expand(rows, 1, -1, -1)], -1)
