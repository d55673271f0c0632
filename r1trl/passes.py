"""The passes over completions that training needs: their log-probabilities, without padding.

TRL pads every row to the longest prompt and the longest completion of the whole rollout. Here a row
is as long as it is: rows are sorted by length, passed through the model a few at a time, and what
is found is put back where TRL expects it. Nothing that follows a token is seen by a causal model,
so rows that end at different places need no attention mask.
"""

from collections.abc import Iterator
from typing import Any

import torch

TOKENS = 1024  # a pass is worth its start from about so many tokens on
SLACK = 0.8  # rows shorter than this share of a pass's longest begin a new one


def log_probabilities(
    model: Any,
    ids: torch.Tensor,
    mask: torch.Tensor,
    keep: int,
    most: int,
    entropy: bool = False,
    split: bool = True,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return the log-probability of each of the last `keep` tokens, and the entropies before them.

    `ids` and `mask` are (rows, tokens): prompts that end where completions, `keep` wide, begin.
    `model` is one that TRL has given its `fused_lm_head`. Both returned tensors are (rows, `keep`)
    and 0 where the mask is. At most `most` rows are passed at once; `split` False passes so many,
    however long they are, so that every process passes equally often.
    """
    starts = (ids.shape[1] - keep) - mask[:, : ids.shape[1] - keep].sum(1)  # prompts are on the right
    lengths = mask.sum(1)
    order = lengths.argsort(descending=True, stable=True)
    found = [
        _passed(model, ids[rows], starts[rows], lengths[rows], keep, entropy)
        for rows in parts(order, lengths.tolist(), most, split)
    ]
    back = order.argsort()
    logps = torch.cat([logps for logps, _ in found])[back]
    return logps, torch.cat([entropies for _, entropies in found])[back] if entropy else None


def parts(
    order: torch.Tensor, lengths: list[int], most: int, split: bool
) -> Iterator[torch.Tensor]:
    """Yield the rows that are passed together, which are nearly equally long."""
    numbers, begin = order.tolist(), 0
    for end in range(1, len(numbers) + 1):
        longest, count = lengths[numbers[begin]], end - begin
        if (
            end == len(numbers)
            or count == most
            or (split and count * longest >= TOKENS and lengths[numbers[end]] < SLACK * longest)
        ):
            yield order[begin:end]
            begin = end


def _passed(
    model: Any,
    ids: torch.Tensor,
    starts: torch.Tensor,
    lengths: torch.Tensor,
    keep: int,
    entropy: bool,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Pass rows through the model, each moved to the left by its padding."""
    columns = torch.arange(int(lengths.max()), device=ids.device)
    prompt = (ids.shape[1] - keep - starts)[:, None]
    moved = ids.gather(1, (starts[:, None] + columns).clamp(max=ids.shape[1] - 1))
    answers = (columns >= prompt) & (columns < lengths[:, None])
    out = model(input_ids=moved, labels=moved.masked_fill(~answers, -100), fused_lm_head=True)
    columns = torch.arange(keep, device=ids.device)
    places = (prompt - 1 + columns).clamp(max=moved.shape[1] - 2)
    there = columns < lengths[:, None] - prompt
    logps = out.log_probs.gather(1, places).masked_fill(~there, 0.0)
    return logps, out.entropy.gather(1, places).masked_fill(~there, 0.0) if entropy else None


def without_silent(
    model: Any,
    ids: torch.Tensor,
    mask: torch.Tensor,
    keep: int,
    most: int,
    split: bool,
    silent: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return log-probabilities and entropies to learn from, with no pass over silent rows.

    A silent row has no advantage. Its log-probabilities are 0, which moves nothing; its entropies
    are the mean of the others', so that the mean over all is theirs.
    """
    if silent is None or not silent.any():
        return log_probabilities(model, ids, mask, keep, most, True, split)  # type: ignore[return-value]
    heard = (~silent).nonzero().squeeze(1)
    if not len(heard):
        heard = mask.sum(1).argmin()[None]  # one row, so that there is a gradient, of zeros
    logps, entropies = log_probabilities(model, ids[heard], mask[heard], keep, most, True, split)
    assert entropies is not None
    mean = entropies.sum() / mask[heard, -keep:].sum().clamp(min=1)
    return (
        logps.new_zeros(len(ids), keep).index_copy(0, heard, logps),
        entropies.new_zeros(len(ids), keep).add(mean).index_copy(0, heard, entropies),
    )
