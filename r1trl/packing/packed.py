"""Rows packed into one sequence without padding, in which shared prompts stand once.

The completions of a shared prompt attend to its keys and values, through which gradients flow back
into it.
"""

from typing import Any

import torch

from r1trl.packing.attention import register_packed_attention
from r1trl.packing.layout import PackedLayout, longest_first
from r1trl.packing.models import attends_to_all_with_sdpa, config_of, is_plain_decoder
from r1trl.packing.tokens import TokenBatch
from r1trl.process.terminal import say

RELATIVE_TOLERANCE = 0.02  # of the largest log-probability: rounding, in bfloat16 too
MIN_SHARED_FRACTION = 0.1  # of all tokens that must be saved for prompts to be shared


class PackedRows:
    """A token batch as one sequence; `rows`, `columns` (tokens,) int64 locate its tokens there.

    A row's last token predicts nothing and is not passed. If prompts are shared, a prompt's last
    token is repeated before each of its completions, since its logits predict their first token.
    """

    def __init__(self, batch: TokenBatch) -> None:
        self.batch = batch
        self.rows = self.columns = batch.ids.new_empty(0)
        shared = shared_prompts(batch)
        start = batch.prompt_width - batch.prompt_lengths
        end = batch.prompt_width + batch.completion_lengths - 1
        end = end.clamp(min=batch.prompt_width)
        all_rows = torch.arange(len(batch.ids), device=batch.ids.device)
        if shared is None:
            lengths = (end - start).clamp(min=1)
            self.layout = PackedLayout(lengths[self._append(all_rows, start, lengths)])
            return
        prompt_of_row, row_of_prompt = shared
        prompts = batch.prompt_lengths[row_of_prompt] - 1
        order = self._append(row_of_prompt, start[row_of_prompt], prompts)
        begin = torch.zeros_like(prompts)
        begin[order] = prompts[order].cumsum(0) - prompts[order]
        lengths = end - batch.prompt_width + 1
        rows = self._append(all_rows, torch.full_like(end, batch.prompt_width - 1), lengths)
        none, prefix = torch.zeros_like(order), prompt_of_row[rows]
        self.layout = PackedLayout(
            torch.cat([prompts[order], lengths[rows]]),
            len(order),
            (torch.cat([none, begin[prefix]]), torch.cat([none, prompts[prefix]])),
        )

    def _append(
        self, rows: torch.Tensor, start: torch.Tensor, lengths: torch.Tensor
    ) -> torch.Tensor:
        """Append `lengths` tokens of each row, from column `start` on; return the rows' order.

        All are (rows,) int64, as is the order: indices into `rows`.
        """
        order = longest_first(lengths)
        sizes = lengths[order]
        steps = torch.arange(int(sizes.sum()), device=sizes.device)
        steps -= (sizes.cumsum(0) - sizes).repeat_interleave(sizes)
        self.rows = torch.cat([self.rows, rows[order].repeat_interleave(sizes)])
        self.columns = torch.cat([self.columns, start[order].repeat_interleave(sizes) + steps])
        return order

    def forward(self, model: Any, labels: torch.Tensor) -> Any:
        """Pass the sequence through a model with TRL's fused head; return the model's output.

        `labels` (rows, columns) int64 has the batch's shape, -100 for tokens to ignore. Fields of
        the output are (1, tokens). Registers `packed_attention` as transformers' `sdpa`.
        """
        register_packed_attention()
        ids, padding = self.batch.ids, self.batch.prompt_width - self.batch.prompt_lengths
        # transformers takes a 4-D mask as it is, so that the model builds none
        placeholder = torch.ones((1, 1, 1, 1), dtype=torch.bool, device=ids.device)
        routed = getattr(config_of(model), "output_router_logits", False)
        return model(
            input_ids=ids[self.rows, self.columns][None],
            attention_mask=placeholder,
            position_ids=(self.columns - padding[self.rows])[None],
            shift_labels=labels[self.rows, self.columns + 1][None],
            fused_lm_head=True,
            packed_layout=self.layout,
            **({"output_router_logits": False} if routed else {}),  # their loss is not used here
        )

    def unpack(self, values: torch.Tensor) -> torch.Tensor:
        """Return per-token values (1, tokens) in the batch's shape (rows, columns), 0 elsewhere.

        A value belongs to the token it predicts, one column after the one it was computed from.
        """
        index = self.rows.to(values.device), self.columns.to(values.device) + 1
        return values.new_zeros(self.batch.ids.shape).index_put(index, values[0])


def shared_prompts(batch: TokenBatch) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Return each row's prompt number (rows,) and one row of each prompt (prompts,), both int64.

    None if sharing saves less than `MIN_SHARED_FRACTION` of all tokens, or if a prompt is empty.
    The device is synchronised.
    """
    if not batch.prompt_width or int(batch.prompt_lengths.min()) < 1:
        return None
    ids = batch.ids.masked_fill(batch.mask == 0, -1)[:, : batch.prompt_width]
    _, prompt_of_row = torch.unique(ids, dim=0, return_inverse=True)
    row_of_prompt = prompt_of_row.new_zeros(int(prompt_of_row.max()) + 1)
    row_of_prompt[prompt_of_row] = torch.arange(len(prompt_of_row), device=ids.device)
    passed = batch.prompt_lengths - 1
    saved = int(passed.sum() - passed[row_of_prompt].sum())
    if saved <= MIN_SHARED_FRACTION * int(batch.mask.sum()):
        return None
    return prompt_of_row, row_of_prompt


def can_pack(model: Any, device: torch.device) -> bool:
    """Return True if a model with TRL's fused head computes packed rows as each row alone.

    It must be a plain decoder that attends with transformers' `sdpa` over all preceding tokens, and
    two packed rows that share a prompt must get the log-probabilities of each alone. The model is
    run, so all processes of its training must call this together; it is left unchanged. Prints a
    line if the run fails; what the model raises is a reason for False.
    """
    try:
        if not (is_plain_decoder(model) and attends_to_all_with_sdpa(model)):
            return False
        problem = "" if packed_matches_alone(model, device) else "they do not stay apart"
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a model raises is the reason
        problem = f"{type(error).__name__}: {error}".splitlines()[0]
    if problem:
        say(f"this model cannot be passed packed rows ({problem}): they are padded")
    return not problem


@torch.no_grad()
def packed_matches_alone(model: Any, device: torch.device) -> bool:
    """Return True if two packed rows with one prompt get the log-probabilities of each alone."""
    ids = torch.tensor([[5, 6, 7, 8, 9], [5, 6, 7, 9, 8]], device=device)
    ids = ids % config_of(model).vocab_size
    batch = TokenBatch(ids, torch.ones_like(ids), 2)
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        packed = PackedRows(batch)
        logps = packed.unpack(packed.forward(model, ids).log_probs)
        alone = [model(input_ids=row[None], labels=row[None], fused_lm_head=True) for row in ids]
    finally:
        for module in training:
            module.training = True
    expected = torch.cat([out.log_probs for out in alone]).float()[:, 2:]
    error = (logps.float()[:, 3:] - expected).abs().max()
    close = bool(error < RELATIVE_TOLERANCE * max(1.0, float(expected.abs().max())))
    return packed.layout.attention_calls > 0 and close
