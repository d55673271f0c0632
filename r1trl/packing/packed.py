"""Packing: rows as one long row without padding, in which shared prompts stand once.

Completions of a prompt go on from its keys and values, through which gradients flow back into it.
"""

from typing import Any
from weakref import WeakKeyDictionary

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from r1trl.packing.attention import Bucket, PackedLayout, bucket_by_length
from r1trl.packing.tokens import TokenBatch

CAN_PACK: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()  # by model
CLOSE = 0.02  # what may differ by rounding, in bfloat16 too, relative to the largest
WORTH = 0.1  # the share of all tokens from which on it is worth reading shared prompts once


class Packed:
    """Texts as one long row. `rows` and `columns` say where each of its tokens is in the texts.

    The last token of every row tells of nothing, and is left out. Where prompts are shared, the
    last token of a prompt is read with every completion, whose first one it has to tell.
    """

    def __init__(self, texts: TokenBatch) -> None:
        self.texts, self.spans = texts, PackedLayout()
        self.rows = self.columns = texts.ids.new_empty(0)
        shared = shared_prompts(texts)
        begin = texts.width - texts.prompts
        end = (texts.width + texts.completions - 1).clamp(min=texts.width)
        everyone = torch.arange(len(texts.ids), device=texts.ids.device)
        if shared is None:
            self._lay(everyone, begin, (end - begin).clamp(min=1))
            return
        group, which = shared
        lengths = texts.prompts[which] - 1
        order = self._lay(which, begin[which], lengths)
        self.spans.prompts = len(self.spans.parts)
        places = torch.zeros_like(lengths)
        places[order] = lengths[order].cumsum(0) - lengths[order]
        prefixes = places[group], lengths[group]
        self._lay(everyone, torch.full_like(end, texts.width - 1), end - texts.width + 1, prefixes)

    def _lay(
        self,
        rows: torch.Tensor,
        begin: torch.Tensor,
        sizes: torch.Tensor,
        prefixes: tuple[torch.Tensor, torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """Add `sizes` tokens of rows from their columns `begin` on; return the rows' order.

        `prefixes` tells where among all prompts those of the rows begin, and their lengths.
        """
        chosen, last = bucket_by_length(sizes), len(self.rows) - 1  # of the tokens of prompts
        for part in chosen:
            own = sizes[part]
            inside = torch.arange(int(own.max()), device=own.device)
            there = inside < own[:, None]
            tokens = (own.cumsum(0) - own)[:, None] + inside
            after: tuple[torch.Tensor, ...] = ()
            if prefixes:
                places, lengths = prefixes[0][part], prefixes[1][part]
                prefix = torch.arange(int(lengths.max()), device=own.device)
                where = (places[:, None] + prefix).clamp(max=last)
                after = (where, prefix_causal_mask(lengths, len(prefix), len(inside)))
            index = there.flatten().nonzero().squeeze(1)
            self.spans.parts.append(Bucket(tokens.clamp(max=len(index) - 1), index, *after))
            self.rows = torch.cat([self.rows, rows[part].repeat_interleave(own)])
            self.columns = torch.cat([self.columns, (begin[part][:, None] + inside)[there]])
        return torch.cat(chosen)

    def passed(self, model: Any, labels: torch.Tensor) -> Any:
        """Pass the long row through a model that TRL has given its `fused_lm_head`.

        `labels` (rows, tokens) are those of the texts, -100 where nothing is asked.
        """
        ids, before = self.texts.ids, self.texts.width - self.texts.prompts
        given = torch.ones((1, 1, 1, 1), dtype=torch.bool, device=ids.device)  # that none is made
        routed = getattr(config_of(model), "output_router_logits", False)
        return model(
            input_ids=ids[self.rows, self.columns][None],
            attention_mask=given,
            position_ids=(self.columns - before[self.rows])[None],
            shift_labels=labels[self.rows, self.columns + 1][None],
            fused_lm_head=True,
            spans=self.spans,
            **({"output_router_logits": False} if routed else {}),  # nobody asks for their loss
        )

    def put(self, found: torch.Tensor) -> torch.Tensor:
        """Put what is said of the next token (1, tokens) where that is: (rows, tokens)."""
        where = self.rows.to(found.device), self.columns.to(found.device) + 1
        return found.new_zeros(self.texts.ids.shape).index_put(where, found[0])


def shared_prompts(texts: TokenBatch) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Return the number of every row's prompt and a row of each; None if it is not worth it."""
    if not texts.width or int(texts.prompts.min()) < 1:
        return None
    ids = texts.ids.masked_fill(texts.mask == 0, -1)[:, : texts.width]
    _, group = torch.unique(ids, dim=0, return_inverse=True)
    which = group.new_zeros(int(group.max()) + 1)
    which[group] = torch.arange(len(group), device=group.device)
    read = texts.prompts - 1
    saved = int(read.sum() - read[which].sum())
    return (group, which) if saved > WORTH * int(texts.mask.sum()) else None


def prefix_causal_mask(before: torch.Tensor, longest: int, count: int) -> torch.Tensor:
    """Return what each of `count` tokens after a prefix sees: (rows, 1, count, longest + count).

    `before` has the length of every row's prefix, which is padded on the right to `longest`. Where
    all are as long, one row stands for all.
    """
    device, rows = before.device, 1 if bool((before == longest).all()) else len(before)
    prefix = torch.arange(longest, device=device) < before[:rows, None]
    prefix = prefix[:, None, None].expand(-1, 1, count, -1)
    own = torch.ones((count, count), dtype=torch.bool, device=device).tril()
    return torch.cat([prefix, own.expand(rows, 1, -1, -1)], -1)


def can_pack(model: Any, device: torch.device) -> bool:
    """Tell whether a model passes packed rows: found out once for each, in all processes at once.

    Its attention has to be transformers' `sdpa` over all that went before, and to say of two rows
    that share a prompt what it says of each alone.
    """
    own, config = unwrapped(model), config_of(model)
    if own not in CAN_PACK:
        full = all(type(layer) is DynamicLayer for layer in DynamicCache(config=config).layers)
        hooked = getattr(own, "_supports_attention_backend", False)
        promising = full and hooked and config._attn_implementation == "sdpa"
        CAN_PACK[own] = promising and tried(model, device)
        if promising and not CAN_PACK[own]:
            print("this model does not tell packed rows apart: they are padded", flush=True)
    return CAN_PACK[own]


@torch.no_grad()
def tried(model: Any, device: torch.device) -> bool:
    """Pass two small rows packed and alone, and compare what is said."""
    ids = torch.tensor([[5, 6, 7, 8, 9], [5, 6, 7, 9, 8]], device=device)
    texts, training = TokenBatch(ids, torch.ones_like(ids), 2), model.training
    model.eval()
    try:
        packed = Packed(texts)
        found = packed.put(packed.passed(model, ids).log_probs)
        alone = [model(input_ids=row[None], labels=row[None], fused_lm_head=True) for row in ids]
    finally:
        model.train(training)
    wanted = torch.cat([out.log_probs for out in alone]).float()[:, 2:]
    off = (found.float()[:, 3:] - wanted).abs().max()
    return packed.spans.layers > 0 and bool(off < CLOSE * max(1.0, float(wanted.abs().max())))


def config_of(model: Any) -> Any:
    """Return the configuration of a model's language model, whatever the model is wrapped in."""
    return unwrapped(model).config.get_text_config()


def unwrapped(model: Any) -> Any:
    """Return a model without what processes that train together have wrapped it in."""
    while hasattr(model, "module"):
        model = model.module
    return model
