"""Log-probabilities and entropies of completions, as TRL expects them, without redundant work.

TRL pads each row to the longest prompt and completion of the whole rollout, and passes a prompt
again for each of its completions. Packed rows have no padding and share prompts.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from r1trl.packing.packed import PackedRows
from r1trl.packing.tokens import TokenBatch


class LogpsAndEntropies(NamedTuple):
    """Per-token values of completions in nats: (rows, logits_to_keep), right-padded with 0.

    The dtype is that of the model's output. `entropies` are of the distribution that each token
    was drawn from, None if the model returns none.
    """

    logps: torch.Tensor
    entropies: torch.Tensor | None


def log_probabilities(
    model: Any, batch: TokenBatch, max_rows: int, packs: bool
) -> LogpsAndEntropies:
    """Return the log-probabilities and entropies of completions by a model with TRL's fused head.

    At most `max_rows` rows are passed at once: the number of passes depends on nothing else, so
    that it is equal in all processes. `packs`, from `can_pack`, says if rows are packed.
    """
    forward = _packed if packs else _padded
    rows = torch.arange(len(batch.ids), device=batch.ids.device)
    parts = [forward(model, batch.select(some)) for some in torch.split(rows, max_rows)]
    entropies = [part.entropies for part in parts if part.entropies is not None]
    logps = torch.cat([part.logps for part in parts])
    return LogpsAndEntropies(logps, torch.cat(entropies) if entropies else None)


def _packed(model: Any, batch: TokenBatch) -> LogpsAndEntropies:
    """Pass rows without padding, and shared prompts once."""
    packed = PackedRows(batch)
    out = packed.forward(model, _labels(batch))

    def completions(values: torch.Tensor) -> torch.Tensor:
        return packed.unpack(values)[:, batch.prompt_width :]

    entropies = None if out.entropy is None else completions(out.entropy)
    return LogpsAndEntropies(completions(out.log_probs), entropies)


def _padded(model: Any, batch: TokenBatch) -> LogpsAndEntropies:
    """Pass rows as TRL lays them out, without the outer columns that are padding in all rows."""
    columns = batch.mask.any(0).nonzero().squeeze(1)
    width = batch.prompt_width
    start, end = int(columns[0]), max(int(columns[-1]) + 1, width + 1)
    mask = batch.mask[:, start : end - 1]
    out = model(
        input_ids=batch.ids[:, start : end - 1],
        attention_mask=mask,
        position_ids=(mask.cumsum(1) - 1).clamp(min=0),
        shift_labels=_labels(batch)[:, start + 1 : end],
        fused_lm_head=True,
    )

    def completions(values: torch.Tensor) -> torch.Tensor:
        full = values.new_zeros((len(mask), batch.logits_to_keep))
        full[:, : end - width] = values[:, width - start - 1 :]
        return full

    entropies = None if out.entropy is None else completions(out.entropy)
    return LogpsAndEntropies(completions(out.log_probs), entropies)


def _labels(batch: TokenBatch) -> torch.Tensor:
    """Return the ids of completion tokens, -100 for prompts and padding: (rows, columns)."""
    labels = batch.ids.masked_fill(batch.mask == 0, -100)
    labels[:, : batch.prompt_width] = -100
    return labels


def logps_skipping_zero_advantage(
    model: Any, batch: TokenBatch, zero_advantage: torch.Tensor | None, packs: bool
) -> LogpsAndEntropies:
    """Return the log-probabilities and entropies of a loss without passing zero-advantage rows.

    `zero_advantage` is (rows,) bool. Those rows get log-probability 0, which has no gradient, and
    the mean entropy of the others, so that the mean over all rows is unchanged.
    """
    if zero_advantage is None or not zero_advantage.any():
        return log_probabilities(model, batch, len(batch.ids), packs)
    kept = (~zero_advantage).nonzero().squeeze(1)
    if not len(kept):
        kept = batch.completion_lengths.argmin()[None]  # a loss needs a gradient, though it is 0
    part, shape = batch.select(kept), (len(zero_advantage), batch.logits_to_keep)
    logps, entropies = log_probabilities(model, part, len(kept), packs)
    assert entropies is not None
    mean = entropies.sum() / part.completion_lengths.sum().clamp(min=1)
    return LogpsAndEntropies(
        logps.new_zeros(shape).index_copy(0, kept, logps),
        entropies.new_zeros(shape).add(mean).index_copy(0, kept, entropies),
    )


def regroup_by_prompt(micro_batches: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Regroup the rows of one update's micro-batches so that equal prompts share a micro-batch.

    All have the same keys, among them `prompt_ids` and `completion_mask` (rows, columns), and equal
    widths; tensors with a row dimension are regrouped. The sum of the micro-batches' gradients is
    unchanged if the loss does not depend on how rows are grouped.
    """
    first = micro_batches[0]
    names = [name for name, value in first.items() if torch.is_tensor(value) and value.dim()]
    joined = {name: torch.cat([batch[name] for batch in micro_batches]) for name in names}
    _, prompt = torch.unique(joined["prompt_ids"], dim=0, return_inverse=True)
    mask = joined["completion_mask"]
    order = (prompt * (mask.shape[1] + 1) + mask.sum(1)).argsort(stable=True)
    chunks = {name: value[order].chunk(len(micro_batches)) for name, value in joined.items()}
    return [
        batch | {name: chunks[name][i] for name in names} for i, batch in enumerate(micro_batches)
    ]


def pad_logps(logps: Sequence[Sequence[float]], mask: torch.Tensor) -> torch.Tensor:
    """Return log-probabilities right-padded with 0 to the shape of `mask`: float32.

    `mask` (rows, columns) is 1 for the tokens whose log-probability is kept.
    """
    width = mask.shape[1]
    rows = [[*row, *[0.0] * (width - len(row))] for row in logps]
    return torch.tensor(rows, device=mask.device) * mask
