"""A decode batch: rows that are decoded together, one token per step."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from r1trl.decoding.kv_cache import PreallocatedLayer
from r1trl.decoding.sampling_params import SamplingParams, sample_token_ids
from r1trl.process.pulse import progress

COMPACT_BELOW = 0.7  # fraction of unfinished rows at which finished rows are dropped


@dataclass(frozen=True)
class StopCondition:
    """A condition that ends completions, besides eos ids and limits.

    `is_done(ids)` gets the last `window` new ids of every row, fewer at first, and returns one bool
    per row. It is called after each token, for finished rows of the batch too.
    """

    window: int
    is_done: Callable[[list[list[int]]], list[bool]]


class FinishedRow(NamedTuple):
    """A finished row: its number, its new ids, and their log-probabilities if requested."""

    row: int
    ids: list[int]
    logps: list[float]


class DecodeBatch:
    """Rows that are decoded together; finished rows are dropped now and then.

    For all rows: `tokens` (rows, longest) int64 and `logps` (rows, longest, or 0 if not requested)
    float32, at `logps_temperature`. For the `active` rows, (active,) int64 row numbers: `finished`
    (active,) bool, `positions` (active,) int64 of the next token, `logits` (active, vocabulary),
    `prompts` (active, prompt width) int64, left-padded with -1, and `mask` (active, prompt width +
    longest) bool, None if no prompt is padded.
    """

    def __init__(
        self,
        model: Any,
        prompts: list[Sequence[int]],
        max_new_tokens: list[int],
        params: SamplingParams,
        logps_temperature: float | None,
    ) -> None:
        """Prefill the prompts; `max_new_tokens` has one limit per row."""
        self.model, self.params, self.logps_temperature = model, params, logps_temperature
        rows, longest, device = len(prompts), max(max_new_tokens), model.device
        self.max_new_tokens = torch.tensor(max_new_tokens, device=device)
        self.tokens = torch.full((rows, longest), params.pad_token_id, device=device)
        self.logps = torch.zeros((rows, longest if logps_temperature else 0), device=device)
        self.active = torch.arange(rows, device=device)
        self.finished = torch.zeros(rows, dtype=torch.bool, device=device)
        self.eos_token_ids = torch.tensor(params.eos_token_ids, device=device)
        self._prefill(prompts)

    def _prefill(self, prompts: list[Sequence[int]]) -> None:
        """Prefill each distinct prompt once; copy its KV cache and last logits to its rows."""
        numbers: dict[tuple[int, ...], int] = {}
        prompt_of_row = [numbers.setdefault(tuple(prompt), len(numbers)) for prompt in prompts]
        width, device = max(map(len, numbers)), self.model.device
        padding = self.params.pad_token_id
        padded = [[padding] * (width - len(prompt)) + list(prompt) for prompt in numbers]
        ids = torch.tensor(padded, device=device)
        lengths = torch.tensor([len(prompt) for prompt in numbers], device=device)
        mask = torch.arange(width, device=device) >= width - lengths[:, None]
        has_padding = not bool(mask.all())
        self.cache = DynamicCache(config=self.model.config.get_text_config())
        self.cache.layers = [
            PreallocatedLayer() if type(layer) is DynamicLayer else layer
            for layer in self.cache.layers
        ]
        dynamic = all(type(layer) is PreallocatedLayer for layer in self.cache.layers)
        self.all_dynamic_sdpa = dynamic and self.model.config._attn_implementation == "sdpa"
        out = self.model(
            input_ids=ids,
            attention_mask=mask.long() if has_padding else None,
            position_ids=(mask.cumsum(1) - 1).clamp(min=0),
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        rows = torch.tensor(prompt_of_row, device=device)
        self.cache.reorder_cache(rows)
        self.logits, self.positions = out.logits[rows, -1], lengths[rows]
        self.prompts = ids.masked_fill(~mask, -1)[rows]  # no token, for the logits processors
        self.logits_processors = self.params.logits_processors(width, device)
        new = torch.ones((len(rows), self.tokens.shape[1]), dtype=torch.bool, device=device)
        self.mask = torch.cat([mask[rows], new], 1) if has_padding else None

    def run(self, stop: StopCondition | None) -> Iterator[list[FinishedRow]]:
        """Decode all rows to their ends; yield the rows that finish in the same step, each once."""
        for column in range(self.tokens.shape[1]):
            new, count = self._sample(column), column + 1
            progress()
            ended = torch.isin(new, self.eos_token_ids)
            ended |= count >= self.max_new_tokens[self.active]
            if stop:
                recent = self.tokens[self.active, max(0, count - stop.window) : count]
                ended |= torch.tensor(stop.is_done(recent.tolist()), device=ended.device)
            rows = self.active[ended & ~self.finished].tolist()
            if rows:
                ids, logps = (part[rows, :count].tolist() for part in (self.tokens, self.logps))
                yield list(map(FinishedRow, rows, ids, logps))
                self.finished |= ended
                going = (~self.finished).nonzero().squeeze(1)
                if not len(going):
                    return
                if len(going) <= COMPACT_BELOW * len(self.active):
                    new = new[going]
                    self._compact(going)
            self._decode_step(new, self.prompts.shape[1] + count)

    def _sample(self, column: int) -> torch.Tensor:
        """Sample the next token of every active row and store it in a column: (active,) int64."""
        logits, params = self.logits.float(), self.params
        if self.logps_temperature:
            logps = torch.log_softmax(logits / self.logps_temperature, -1)
        if self.logits_processors:
            logits = self.logits_processors(self._ids(column), logits)
        new = logits.argmax(-1) if params.temperature == 0 else sample_token_ids(logits)
        self.tokens[self.active, column] = new
        if self.logps_temperature:
            self.logps[self.active, column] = logps.gather(1, new[:, None]).squeeze(1)
        return new

    def _ids(self, column: int) -> torch.Tensor:
        """Return what logits processors get: prompts and new tokens (active, width + column).

        New tokens stand for their number only, unless a processor reads them: a view costs nothing.
        """
        if self.params.reads_ids:
            return torch.cat([self.prompts, self.tokens[self.active, :column]], 1)
        return self.prompts[:, :1].expand(-1, self.prompts.shape[1] + column)

    def _compact(self, going: torch.Tensor) -> None:
        """Keep only the given rows, indices (int64) into the active ones."""
        self.cache.reorder_cache(going)
        self.active, self.finished, self.positions, self.prompts = (
            part[going] for part in (self.active, self.finished, self.positions, self.prompts)
        )
        if self.mask is not None:
            self.mask = self.mask[going]

    def _decode_step(self, new: torch.Tensor, used: int) -> None:
        """Pass the newest token of each active row, the last of `used` columns of the mask."""
        mask = None if self.mask is None else self.mask[:, :used]
        if mask is not None and self.all_dynamic_sdpa:
            mask = mask[:, None, None]  # the mask that transformers would make, at some cost
        out = self.model(
            input_ids=new[:, None],
            attention_mask=mask,
            position_ids=self.positions[:, None],
            past_key_values=self.cache,
            use_cache=True,
        )
        self.logits, self.positions = out.logits[:, -1], self.positions + 1
