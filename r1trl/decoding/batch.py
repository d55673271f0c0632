"""Completions that are written at the same time, one token each at a time."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from r1trl.decoding.kv_cache import Rows
from r1trl.decoding.sampling_params import SamplingParams, sample_token_ids

SHRINK = 0.7  # the share of a batch that is still being written below which the others leave it


@dataclass(frozen=True)
class Stop:
    """What else ends a completion: `done`, told the last `tail` new ids of rows, says of which."""

    tail: int
    done: Callable[[list[list[int]]], list[bool]]


class Batch:
    """Rows that are written at the same time, one token each at a time."""

    def __init__(
        self,
        model: Any,
        prompts: list[Sequence[int]],
        rooms: list[int],
        method: SamplingParams,
        told: bool,
    ) -> None:
        self.model, self.method, self.filters, self.told = model, method, method.filters(), told
        device = model.device
        self.rooms = torch.tensor(rooms, device=device)
        self.tokens = torch.full((len(prompts), max(rooms)), method.padding, device=device)
        self.logps = torch.zeros((len(prompts), max(rooms) if told else 0), device=device)
        self.rows = torch.arange(len(prompts), device=device)  # those that are in the batch
        self.done = torch.zeros(len(prompts), dtype=torch.bool, device=device)
        self.ends = torch.tensor(method.ends, device=device)
        self._read(prompts)

    def _read(self, prompts: list[Sequence[int]]) -> None:
        """Run the model over every different prompt, once, and put what it found in all rows."""
        numbers: dict[tuple[int, ...], int] = {}
        of_row = [numbers.setdefault(tuple(prompt), len(numbers)) for prompt in prompts]
        width, device = max(map(len, numbers)), self.model.device
        padding = self.method.padding
        ids = [[padding] * (width - len(prompt)) + list(prompt) for prompt in numbers]
        lengths = torch.tensor([len(prompt) for prompt in numbers], device=device)
        columns = torch.arange(width, device=device)
        mask = columns >= width - lengths[:, None]
        padded = not bool(mask.all())
        self.cache = DynamicCache(config=self.model.config.get_text_config())
        self.cache.layers = [
            Rows() if type(layer) is DynamicLayer else layer for layer in self.cache.layers
        ]
        full = all(type(layer) is Rows for layer in self.cache.layers)
        self.plain = full and self.model.config._attn_implementation == "sdpa"
        read = torch.tensor(ids, device=device)
        out = self.model(
            input_ids=read,
            attention_mask=mask.long() if padded else None,
            position_ids=(mask.cumsum(1) - 1).clamp(min=0),
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        rows = torch.tensor(of_row, device=device)
        self.cache.reorder_cache(rows)
        self.logits, self.positions = out.logits[rows, -1], lengths[rows]
        beyond = out.logits.shape[-1]  # is no token, and so none that a penalty is for
        self.prompts = read.masked_fill(~mask, beyond)[rows]
        room = torch.ones((len(rows), self.tokens.shape[1]), dtype=torch.bool, device=device)
        self.mask = torch.cat([mask[rows], room], 1) if padded else None

    def run(self, stop: Stop | None) -> Iterator[list[tuple[int, list[int], list[float]]]]:
        """Write all rows to their ends; yield those that have ended: number, ids, logps."""
        for column in range(self.tokens.shape[1]):
            new = self._draw(column)
            ended = torch.isin(new, self.ends) | (column + 1 >= self.rooms[self.rows])
            if stop:
                tail = self.tokens[self.rows, max(0, column + 1 - stop.tail) : column + 1]
                ended |= torch.tensor(stop.done(tail.tolist()), device=ended.device)
            just = self.rows[ended & ~self.done].tolist()
            if just:
                count = column + 1
                ids, logps = (part[just, :count].tolist() for part in (self.tokens, self.logps))
                yield list(zip(just, ids, logps, strict=True))
                self.done |= ended
                going = (~self.done).nonzero().squeeze(1)
                if not len(going):
                    return
                if len(going) <= SHRINK * len(self.rows):
                    new = new[going]
                    self._keep(going)
            self._advance(new, self.prompts.shape[1] + column + 1)

    def _draw(self, column: int) -> torch.Tensor:
        """Draw the next token of every row."""
        scores, method = self.logits.float(), self.method
        if self.told:
            logps = torch.log_softmax(scores / (method.temperature or 1.0), -1)
        if self.filters:
            seen = self.prompts
            if method.repetition_penalty != 1.0:
                seen = torch.cat([seen, self.tokens[self.rows, :column]], 1)
            scores = self.filters(seen, scores)
        new = scores.argmax(-1) if method.temperature == 0 else sample_token_ids(scores)
        self.tokens[self.rows, column] = new
        if self.told:
            self.logps[self.rows, column] = logps.gather(1, new[:, None]).squeeze(1)
        return new

    def _keep(self, going: torch.Tensor) -> None:
        """Drop all rows but these from the batch."""
        self.cache.reorder_cache(going)
        self.rows, self.done, self.positions = (
            part[going] for part in (self.rows, self.done, self.positions)
        )
        self.prompts = self.prompts[going]
        if self.mask is not None:
            self.mask = self.mask[going]

    def _advance(self, new: torch.Tensor, used: int) -> None:
        """Run the model over the newest tokens."""
        mask = None if self.mask is None else self.mask[:, :used]
        if mask is not None and self.plain:
            mask = mask[:, None, None]  # what transformers would make of it, at some cost
        out = self.model(
            input_ids=new[:, None],
            attention_mask=mask,
            position_ids=self.positions[:, None],
            past_key_values=self.cache,
            use_cache=True,
        )
        self.logits, self.positions = out.logits[:, -1], self.positions + 1
