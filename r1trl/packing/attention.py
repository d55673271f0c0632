"""Attention among rows that are one long row for all the rest of a model.

It is registered with transformers as `sdpa`, and is what that was unless a pass brings `spans`.
"""

from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any, Self

import torch
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

START = 256  # tokens of padding that take as long as a further call


@dataclass(frozen=True)
class Bucket:
    """Rows of like length, which attend in one call.

    `tokens` (rows, longest) says where in the part's own stretch of the long row the tokens are,
    anything after a row's end; `there` (tokens of the part) says where among those they are.
    `prefix` (rows, longest) says where among the tokens of all prompts those are that a row goes on
    from, and `mask` what each of its tokens sees then.
    """

    tokens: torch.Tensor
    there: torch.Tensor
    prefix: torch.Tensor | None = None
    mask: torch.Tensor | None = None

    def on(self, device: torch.device) -> Self:
        """Return it on the device of a layer, where a model is spread over several."""
        if self.tokens.device == device:
            return self
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(
            self, **{name: part.to(device) for name, part in own.items() if part is not None}
        )


class PackedLayout:
    """The parts of a long row in their order, the first `prompts` of which are prompts.

    It is no dataclass, because FSDP would copy that; `layers` counts those that attended by it.
    """

    def __init__(self) -> None:
        self.parts: list[Bucket] = []
        self.prompts = self.layers = 0


def attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    spans: PackedLayout | None = None,
    **more: Any,
) -> tuple[torch.Tensor, None]:
    """Attend as `sdpa` does; with `spans`, a (1, heads, tokens, size) is many rows."""
    if spans is None:
        out, _ = sdpa_attention_forward(module, query, key, value, attention_mask, **more)
        return out, None
    if attention_mask is not None and attention_mask.numel() == 1:  # the model made none of its own
        spans.layers += 1
    parts = [part.on(query.device) for part in spans.parts]
    sizes = [len(part.there) for part in parts]
    stretches = [torch.split(given[0].transpose(0, 1), sizes) for given in (query, key, value)]
    before = [torch.cat(of[: spans.prompts]) for of in stretches[1:] if spans.prompts]
    found = []
    for part, *own in zip(parts, *stretches, strict=True):
        queries, *seen = (gather_rows(given, part.tokens) for given in own)
        if part.prefix is not None:
            prompts = [gather_rows(given, part.prefix) for given in before]
            seen = [torch.cat(both, 1) for both in zip(prompts, seen, strict=True)]
        rows = [given.transpose(1, 2) for given in (queries, *seen)]
        out, _ = sdpa_attention_forward(module, *rows, part.mask, **more)
        found.append(out.flatten(0, 1).index_select(0, part.there))
    return torch.cat(found)[None], None


AttentionInterface.register("sdpa", attention)


def gather_rows(tokens: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    """Return tokens (tokens, …) as rows (rows, columns, …)."""
    return tokens.index_select(0, where.flatten()).view(*where.shape, *tokens.shape[1:])


def bucket_by_length(sizes: torch.Tensor) -> list[torch.Tensor]:
    """Return the numbers of rows that are not empty, in parts of like length.

    Padding and further calls together are to take the least time: what is best for the longest rows
    is found first, then for some more.
    """
    order = sizes.argsort(descending=True, stable=True)
    lengths = [size for size in sizes[order].tolist() if size]
    ends = [i for i in range(1, len(lengths)) if lengths[i] < lengths[i - 1]] + [len(lengths)]
    best: dict[int, tuple[float, int]] = {0: (0.0, 0)}  # rows from the first -> cost, last part
    for end in ends if lengths else ():
        best[end] = min(
            (cost + START + (end - begin) * lengths[begin], begin)
            for begin, (cost, _) in best.items()
        )
    cuts = [len(lengths)]
    while cuts[-1]:
        cuts.append(best[cuts[-1]][1])
    return [order[begin:end] for begin, end in pairwise(reversed(cuts))]
