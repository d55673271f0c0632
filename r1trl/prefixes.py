"""Prompts that are read once for all their completions, in the passes that training needs.

Completions go on from their prompt's keys and values, through which gradients flow back into it.
"""

from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from r1trl.texts import Found, Texts, filled

WORTH = 0.1  # the share of all tokens from which on it is worth reading shared prompts once


class Prefixes:
    """The different prompts of some rows, but for their last token, and what a model made of them.

    The last token is read with the completion, whose first one it has to tell.
    """

    def __init__(self, model: Any, texts: Texts, which: torch.Tensor, group: torch.Tensor) -> None:
        self.model, self.group = model, group
        prompts = texts.of(which)
        self.lengths = prompts.prompts - 1
        ids = prompts.at(texts.width - prompts.prompts, int(self.lengths.max()))
        self.cache = DynamicCache(config=config_of(model))
        model(input_ids=ids, past_key_values=self.cache, use_cache=True, logits_to_keep=1)

    @classmethod
    def of(cls, model: Any, texts: Texts) -> "Prefixes | None":
        """Read the prompts of rows; None where it is not worth it, or not possible."""
        _, group = torch.unique(texts.ids[:, : texts.width], dim=0, return_inverse=True)
        which = group.new_zeros(int(group.max()) + 1)
        which[group] = torch.arange(len(group), device=group.device)  # a row of each prompt
        prompts = texts.prompts - 1
        saved = int(prompts.sum() - prompts[which].sum())
        if saved < WORTH * int(texts.mask.sum()) or not can_go_on(model):
            return None
        return cls(model, texts, which, group)

    def passed(self, texts: Texts, rows: torch.Tensor) -> Found:
        """Pass completions of some rows through the model, after their prompts."""
        own, group = texts.of(rows), self.group[rows]
        before, count = self.lengths[group], max(1, int(own.completions.max()))
        longest = int(before.max())
        ids = own.ids[:, own.width - 1 : own.width + count]
        mask = own.mask[:, own.width : own.width + count].bool()
        out = self.model(
            input_ids=ids[:, :-1],
            attention_mask=seen(before, longest, count),
            position_ids=before[:, None] + torch.arange(count, device=ids.device),
            past_key_values=self._gone_on(group, longest),
            shift_labels=ids[:, 1:].masked_fill(~mask, -100),
            fused_lm_head=True,
        )
        entropies = None if out.entropy is None else filled(out.entropy, own.keep)
        return filled(out.log_probs, own.keep), entropies  # they are 0 where no label is

    def _gone_on(self, group: torch.Tensor, longest: int) -> DynamicCache:
        """Return a cache for rows of these prompts."""
        cache = DynamicCache(config=config_of(self.model))
        for new, old in zip(cache.layers, self.cache.layers, strict=True):
            new.lazy_initialization(old.keys, old.values)
            new.keys = old.keys[:, :, :longest].index_select(0, group)
            new.values = old.values[:, :, :longest].index_select(0, group)
        return cache


def seen(before: torch.Tensor, longest: int, count: int) -> torch.Tensor:
    """Return what each of `count` tokens after a prefix sees: (rows, 1, count, longest + count).

    `before` has the length of every row's prefix, which is padded on the right to `longest`.
    """
    device = before.device
    prefix = torch.arange(longest, device=device) < before[:, None]
    prefix = prefix[:, None, None].expand(-1, 1, count, -1)
    own = torch.ones((count, count), dtype=torch.bool, device=device).tril()
    return torch.cat([prefix, own.expand(len(before), 1, -1, -1)], -1)


def config_of(model: Any) -> Any:
    """Return the configuration of a model's language model, whatever the model is wrapped in."""
    while not hasattr(model, "config"):
        model = model.module
    return model.config.get_text_config()


def can_go_on(model: Any) -> bool:
    """Tell whether a model goes on from keys and values: all attention is full, none recomputed."""
    config = config_of(model)
    full = all(type(layer) is DynamicLayer for layer in DynamicCache(config=config).layers)
    recomputed = model.training and any(
        getattr(part, "gradient_checkpointing", False) for part in model.modules()
    )
    return full and not recomputed and config._attn_implementation == "sdpa"
