"""The passes over completions that training needs: their log-probabilities, nothing computed twice.

TRL pads every row to the longest prompt and the longest completion of the whole rollout, and reads
a prompt anew for each of its completions. Here rows are passed through the model a few at a time,
as long as they are, and what is found is put back where TRL expects it. Nothing that follows a
token is seen by a causal model, so rows that end at different places need no attention mask. Where
completions share prompts, every prompt is read once, and completions go on from its keys and
values, through which gradients flow back into it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

START = 128  # tokens that could be passed in the time that it takes to start a pass
WORTH = 0.1  # the share of all tokens from which on it is worth reading shared prompts once
Found = tuple[torch.Tensor, torch.Tensor | None]  # log-probabilities, entropies


@dataclass(frozen=True)
class Texts:
    """Prompts and completions as TRL lays them out, (rows, tokens): padded outside, joined inside.

    `keep` is the width of completions; `mask` is 1 where a token is.
    """

    ids: torch.Tensor
    mask: torch.Tensor
    keep: int

    @property
    def width(self) -> int:
        """Return the width of prompts."""
        return self.ids.shape[1] - self.keep

    @property
    def prompts(self) -> torch.Tensor:
        """Return the number of tokens of every prompt."""
        return self.mask[:, : self.width].sum(1)

    @property
    def completions(self) -> torch.Tensor:
        """Return the number of tokens of every completion."""
        return self.mask[:, self.width :].sum(1)

    def of(self, rows: torch.Tensor) -> "Texts":
        """Return some of the rows."""
        return Texts(self.ids[rows], self.mask[rows], self.keep)

    def at(self, begin: torch.Tensor, count: int) -> torch.Tensor:
        """Return `count` ids of every row from its column `begin` on, anything beyond the end."""
        columns = begin[:, None] + torch.arange(count, device=self.ids.device)
        return self.ids.gather(1, columns.clamp(max=self.ids.shape[1] - 1))


def log_probabilities(model: Any, texts: Texts, most: int, together: bool) -> Found:
    """Return the log-probability of each token of completions, and the entropy before it.

    `model` is one that TRL has given its `fused_lm_head`; where it tells no entropies they are
    None. Both are (rows, keep) and 0 where no token is. At most `most` rows are passed at once.
    `together` says that a pass is something that all processes do at once: there are then as many
    of them as rows divided by `most`, whatever is in the rows.
    """
    prefixes = None if together else Prefixes.of(model, texts)
    lengths = texts.completions + (0 if prefixes else texts.prompts)
    order = lengths.argsort(descending=True, stable=True)
    found = []
    for rows in parts(order, lengths.tolist(), most, not together):
        passed = prefixes.passed(texts, rows) if prefixes else _passed(model, texts.of(rows))
        found.append(passed)
    back = order.argsort()
    entropies = [entropy for _, entropy in found if entropy is not None]
    logps = torch.cat([logps for logps, _ in found]).index_select(0, back)
    return logps, torch.cat(entropies).index_select(0, back) if entropies else None


def parts(
    order: torch.Tensor, lengths: list[int], most: int, split: bool
) -> Iterator[torch.Tensor]:
    """Yield the rows that are passed together, at most so many.

    `order` has their numbers by falling length. Where they are split, it is so that padding and the
    starts of passes take the least time: what is best for the first rows, then for some more.
    """
    if not split:
        yield from torch.split(order, most)
        return
    sizes = [lengths[row] for row in order.tolist()]
    ends = [i for i in range(1, len(sizes)) if sizes[i] < sizes[i - 1]] + [len(sizes)]
    best: dict[int, tuple[float, int]] = {0: (0.0, 0)}  # rows from the first -> cost, last part
    for end in ends:
        best[end] = min(
            (cost + -((begin - end) // most) * START + (end - begin) * sizes[begin], begin)
            for begin, (cost, _) in best.items()
        )
    cuts = [len(sizes)]
    while cuts[-1]:
        cuts.append(best[cuts[-1]][1])
    for begin, end in pairwise(reversed(cuts)):
        yield from torch.split(order[begin:end], most)


def _passed(model: Any, texts: Texts) -> Found:
    """Pass rows through the model from their first token on."""
    prompts, completions = texts.prompts, texts.completions
    count = max(1, int((prompts + completions).max()) - 1)  # the last tells of none
    ids = texts.at(texts.width - prompts, count + 1)
    columns = torch.arange(count, device=ids.device) + 1
    asked = (columns >= prompts[:, None]) & (columns < (prompts + completions)[:, None])
    labels = ids[:, 1:].masked_fill(~asked, -100)
    out = model(input_ids=ids[:, :-1], shift_labels=labels, fused_lm_head=True)
    return _placed(out, prompts - 1, texts)


def _placed(out: Any, begin: torch.Tensor, texts: Texts) -> Found:
    """Put what a model says from the column `begin` on where the completions are."""
    columns = torch.arange(texts.keep, device=begin.device)
    places = (begin[:, None] + columns).clamp(max=out.log_probs.shape[1] - 1)
    there = texts.mask[:, texts.width :].bool()
    logps = out.log_probs.gather(1, places).masked_fill(~there, 0.0)
    if out.entropy is None:
        return logps, None
    return logps, out.entropy.gather(1, places).masked_fill(~there, 0.0)


def _filled(matrix: torch.Tensor, width: int) -> torch.Tensor:
    """Fill a matrix up with zeros on the right."""
    return torch.nn.functional.pad(matrix, (0, width - matrix.shape[1]))


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
        entropies = None if out.entropy is None else _filled(out.entropy, own.keep)
        return _filled(out.log_probs, own.keep), entropies  # they are 0 where no label is

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


def without_silent(
    model: Any, texts: Texts, most: int, together: bool, silent: torch.Tensor | None
) -> Found:
    """Return log-probabilities and entropies to learn from, with no pass over silent rows.

    A silent row has no advantage. Its log-probabilities are 0, which moves nothing; its entropies
    are the mean of the others', so that the mean over all is theirs.
    """
    if silent is None or not silent.any():
        return log_probabilities(model, texts, most, together)
    heard = (~silent).nonzero().squeeze(1)
    if not len(heard):
        heard = texts.completions.argmin()[None]  # one row, so that there is a gradient, of zeros
    own, size = texts.of(heard), (len(silent), texts.keep)
    logps, entropies = log_probabilities(model, own, most, together)
    assert entropies is not None
    mean = entropies.sum() / own.completions.sum().clamp(min=1)
    return (
        logps.new_zeros(size).index_copy(0, heard, logps),
        entropies.new_zeros(size).add(mean).index_copy(0, heard, entropies),
    )


def dealt(batches: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Deal the rows of micro-batches anew, so that those with the same prompt are together.

    The sum of their gradients is the same where every row counts alike.
    """
    names = [n for n, value in batches[0].items() if torch.is_tensor(value) and value.dim()]
    whole = {name: torch.cat([batch[name] for batch in batches]) for name in names}
    _, group = torch.unique(whole["prompt_ids"], dim=0, return_inverse=True)
    longest = whole["completion_mask"].shape[1] + 1
    order = (group * longest + whole["completion_mask"].sum(1)).argsort(stable=True)
    split = {name: value[order].chunk(len(batches)) for name, value in whole.items()}
    return [batch | {name: split[name][i] for name in names} for i, batch in enumerate(batches)]


class Unpadded:
    """A model that TRL has given its `fused_lm_head`, and that passes no padding.

    The rows of a batch that is padded on the right are passed in parts of nearly equal length.
    """

    def __init__(self, model: Any) -> None:
        self.model = model

    def __call__(self, **inputs: Any) -> Any:
        """Return what the model says of the whole batch."""
        lengths, width = inputs.pop("attention_mask").sum(1), inputs["input_ids"].shape[1]
        order = lengths.argsort(descending=True, stable=True)
        found = []
        for rows in parts(order, lengths.tolist(), len(order), split=True):
            longest = max(2, int(lengths[rows].max()))
            own = {n: v[rows][:, :longest] if torch.is_tensor(v) else v for n, v in inputs.items()}
            found.append(self.model(**own))
        names = ("log_probs", "entropy", "is_top1", "label_mask")
        columns = {name: [out[name] for out in found] for name in names}
        back = order.argsort()
        return type(found[0])(
            **{
                n: torch.cat([_filled(c, width - 1) for c in column])[back]
                for n, column in columns.items()
            }
        )
