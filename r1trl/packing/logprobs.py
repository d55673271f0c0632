"""Log-probabilities and entropies of completions, as TRL expects them, without redundant work.

TRL pads each row to the longest prompt and completion of the whole rollout, and passes a prompt
again for each of its completions. Packed rows have no padding and share prompts.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from r1trl.packing.packed import PackedRows
from r1trl.packing.tokens import TokenBatch
from r1trl.process.pulse import progress


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
    progress()
    packed = PackedRows(batch)
    out = packed.forward(model, _labels(batch))

    def completions(values: torch.Tensor) -> torch.Tensor:
        return packed.unpack(values)[:, batch.prompt_width :]

    entropies = None if out.entropy is None else completions(out.entropy)
    return LogpsAndEntropies(completions(out.log_probs), entropies)


def _padded(model: Any, batch: TokenBatch) -> LogpsAndEntropies:
    """Pass rows as TRL lays them out, without the outer columns that are padding in all rows."""
    progress()
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


def logps_with_gradient_where_needed(
    model: Any, batch: TokenBatch, zero_advantage: torch.Tensor | None, packs: bool
) -> LogpsAndEntropies:
    """Return the log-probabilities and entropies of a loss; zero-advantage rows have no gradient.

    `zero_advantage` is (rows,) bool, None if all rows have a gradient. With it there are two
    passes, whatever it holds, so that their number is equal in all processes: a loss needs a row
    with a gradient, though that be 0, and the shortest row stands in where rows of a sort lack.
    """
    if zero_advantage is None:
        return log_probabilities(model, batch, len(batch.ids), packs)
    shortest = batch.completion_lengths.argmin()[None]
    silent, others = (rows.nonzero().squeeze(1) for rows in (zero_advantage, ~zero_advantage))
    silent, others = (rows if len(rows) else shortest for rows in (silent, others))
    with torch.no_grad():
        without = log_probabilities(model, batch.select(silent), len(silent), packs)
    with_gradient = log_probabilities(model, batch.select(others), len(others), packs)
    shape = (len(batch.ids), batch.logits_to_keep)
    values = [
        value.new_zeros(shape).index_copy(0, silent, first).index_copy(0, others, value)
        for first, value in zip(without, with_gradient, strict=True)
        if first is not None and value is not None
    ]
    return LogpsAndEntropies(values[0], values[1] if len(values) > 1 else None)


def pad_logps(logps: Sequence[Sequence[float]], mask: torch.Tensor) -> torch.Tensor:
    """Return log-probabilities cut, or right-padded with 0, to the shape of `mask`: float32.

    `mask` (rows, columns) is 1 for the tokens whose log-probability is kept.
    """
    width = mask.shape[1]
    rows = [[*row[:width], *[0.0] * (width - len(row))] for row in logps]
    return torch.tensor(rows, device=mask.device) * mask


def are_completions(generated: Sequence[Sequence[int]], batch: TokenBatch) -> bool:
    """Return True if the rows of a batch complete their prompts by the given ids and no others.

    A row whose whole completion is masked may have had any.
    """
    lengths = batch.completion_lengths.tolist()
    if len(generated) != len(lengths):
        return False
    completions = batch.ids[:, batch.prompt_width :].tolist()
    rows = zip(generated, completions, lengths, strict=True)
    return all(not length or list(ids) == row[:length] for ids, row, length in rows)
