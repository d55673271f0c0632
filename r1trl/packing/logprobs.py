"""The passes over completions that training needs: their log-probabilities, nothing computed twice.

TRL pads every row to the longest prompt and the longest completion of the whole rollout, and reads
a prompt anew for each of its completions. Here rows are packed, and what is found is put back where
TRL expects it.
"""

from typing import Any

import torch

from r1trl.packing.packed import Packed, can_pack
from r1trl.packing.tokens import TokenBatch

Found = tuple[torch.Tensor, torch.Tensor | None]  # log-probabilities, entropies


def log_probabilities(model: Any, texts: TokenBatch, most: int) -> Found:
    """Return the log-probability of each token of completions, and the entropy before it.

    `model` is one that TRL has given its `fused_lm_head`; where it tells no entropies they are
    None. Both are (rows, keep) and 0 where no token is. At most `most` rows are passed at once, so
    that there are as many passes as rows divided by it, whatever is in them.
    """
    pass_ = _packed if can_pack(model, texts.ids.device) else _padded
    rows = torch.arange(len(texts.ids), device=texts.ids.device)
    found = [pass_(model, texts.of(some)) for some in torch.split(rows, most)]
    entropies = [entropy for _, entropy in found if entropy is not None]
    logps = torch.cat([logps for logps, _ in found])
    return logps, torch.cat(entropies) if entropies else None


def _packed(model: Any, texts: TokenBatch) -> Found:
    """Pass rows without padding, prompts that they share once."""
    packed = Packed(texts)
    out = packed.passed(model, _labels(texts))
    logps = packed.put(out.log_probs)[:, texts.width :]
    return logps, None if out.entropy is None else packed.put(out.entropy)[:, texts.width :]


def _padded(model: Any, texts: TokenBatch) -> Found:
    """Pass rows as TRL lays them out, but for columns that have no token."""
    columns = texts.mask.any(0).nonzero().squeeze(1)
    begin, end = int(columns[0]), max(int(columns[-1]) + 1, texts.width + 1)
    mask = texts.mask[:, begin : end - 1]
    out = model(
        input_ids=texts.ids[:, begin : end - 1],
        attention_mask=mask,
        position_ids=(mask.cumsum(1) - 1).clamp(min=0),
        shift_labels=_labels(texts)[:, begin + 1 : end],
        fused_lm_head=True,
    )
    asked, size = slice(texts.width - begin - 1, None), (len(mask), texts.keep)

    def filled(found: torch.Tensor) -> torch.Tensor:
        whole = found.new_zeros(size)
        whole[:, : end - texts.width] = found[:, asked]
        return whole

    return filled(out.log_probs), None if out.entropy is None else filled(out.entropy)


def _labels(texts: TokenBatch) -> torch.Tensor:
    """Return the ids of completions, and -100 where others are."""
    labels = texts.ids.masked_fill(texts.mask == 0, -100)
    labels[:, : texts.width] = -100
    return labels


def logps_skipping_zero_advantage(
    model: Any, texts: TokenBatch, silent: torch.Tensor | None
) -> Found:
    """Return log-probabilities and entropies to learn from, with no pass over silent rows.

    A silent row has no advantage. Its log-probabilities are 0, which moves nothing; its entropies
    are the mean of the others', so that the mean over all is theirs.
    """
    if silent is None or not silent.any():
        return log_probabilities(model, texts, len(texts.ids))
    heard = (~silent).nonzero().squeeze(1)
    if not len(heard):
        heard = texts.completions.argmin()[None]  # one row, so that there is a gradient, of zeros
    own, size = texts.of(heard), (len(silent), texts.keep)
    logps, entropies = log_probabilities(model, own, len(heard))
    assert entropies is not None
    mean = entropies.sum() / own.completions.sum().clamp(min=1)
    return (
        logps.new_zeros(size).index_copy(0, heard, logps),
        entropies.new_zeros(size).add(mean).index_copy(0, heard, entropies),
    )


def regroup_by_prompt(batches: list[dict[str, Any]]) -> list[dict[str, Any]]:
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
