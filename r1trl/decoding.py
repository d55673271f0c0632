"""Decoding: completions drawn from a model, without computing what would be thrown away.

A prompt that stands several times is read once. A completion that has ended leaves the batch, and
its cache with it. The cache is written in place, and no more rows are drawn at once than it has
memory for. What is drawn is what transformers' `generate` draws: token for token where it is
greedy, from the same distribution where it is sampled.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import psutil
import torch
from transformers import (
    DynamicCache,
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)
from transformers.cache_utils import DynamicLayer

Heard = Callable[[list[int], list[list[int]]], None]  # rows that have just ended, and their ids
SHRINK = 0.7  # the share of a batch that is still being written below which the others leave it
ROOM = 32  # columns that the cache grows by, at least
SHARE = 0.3  # of the free memory that the cache may take


@dataclass(frozen=True)
class Method:
    """How the next token is drawn; the names are those of transformers' GenerationConfig.

    `temperature` 0 takes the likeliest. A completion ends with one of the tokens `ends`.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float | None = None
    repetition_penalty: float = 1.0
    ends: tuple[int, ...] = ()
    padding: int = 0

    @classmethod
    def of(cls, config: Any) -> Self | None:
        """Read a GenerationConfig; None where it asks for what is not done here."""
        asked = {k: v for k, v in config.to_diff_dict().items() if v is not None}
        ends = asked.pop("eos_token_id", ())
        for name in ("max_new_tokens", "bos_token_id", "disable_compile", "transformers_version"):
            asked.pop(name, None)
        own = {
            "padding": asked.pop("pad_token_id", 0),
            "ends": tuple(ends) if isinstance(ends, list) else (ends,),
        }
        sampled = asked.pop("do_sample", False)
        own |= {k: asked.pop(k) for k in cls.__dataclass_fields__ if k in asked}
        return None if asked else cls(**own if sampled else own | {"temperature": 0.0})

    def filters(self) -> LogitsProcessorList:
        """Return what changes the scores of the next token, in the order of `generate`."""
        found = LogitsProcessorList()
        if self.repetition_penalty != 1.0:
            found.append(RepetitionPenaltyLogitsProcessor(self.repetition_penalty))
        if self.temperature == 0:
            return found
        if self.temperature != 1.0:
            found.append(TemperatureLogitsWarper(self.temperature))
        if self.top_k:
            found.append(TopKLogitsWarper(self.top_k))
        if self.top_p < 1.0:
            found.append(TopPLogitsWarper(self.top_p))
        if self.min_p is not None:
            found.append(MinPLogitsWarper(self.min_p))
        return found


@dataclass(frozen=True)
class Stop:
    """What else ends a completion: `done`, told the last `tail` new ids of rows, says of which."""

    tail: int
    done: Callable[[list[list[int]]], list[bool]]


@dataclass
class Drawn:
    """A completion: its ids, the end token among them, and where asked for their log-probabilities.

    Those are the model's at the temperature, before anything is filtered out.
    """

    ids: list[int] = field(default_factory=list)
    logps: list[float] = field(default_factory=list)


@torch.inference_mode()
def decode(
    model: Any,
    prompts: Sequence[Sequence[int]],
    rooms: Sequence[int],
    method: Method,
    stop: Stop | None = None,
    heard: Heard | None = None,
    logps: bool = False,
) -> list[Drawn]:
    """Draw a completion for every prompt, of at most as many tokens as its entry in `rooms`.

    `stop` is asked after every token; `heard` is told as rows end; `logps` asks for
    log-probabilities.
    """
    drawn = [Drawn() for _ in prompts]
    for rows in batches(prompts, rooms, rows_at_once(model)):
        own = [prompts[i] for i in rows], [rooms[i] for i in rows]
        batch = Batch(model, *own, method, logps)
        for ended in batch.run(stop):
            for row, ids, told in ended:
                drawn[rows[row]] = Drawn(ids, told)
            if heard:
                heard([rows[row] for row, _, _ in ended], [ids for _, ids, _ in ended])
    return drawn


def batches(
    prompts: Sequence[Sequence[int]], rooms: Sequence[int], most: Callable[[int], int]
) -> Iterator[list[int]]:
    """Yield the numbers of the rows that are drawn together: of like length, equal ones adjacent.

    `most` tells how many rows of so many tokens are drawn at once.
    """
    order = sorted(range(len(prompts)), key=lambda i: (-len(prompts[i]), prompts[i]))
    while order:
        longest = len(prompts[order[0]]) + max(rooms[i] for i in order)
        count = max(1, most(longest))
        yield order[:count]
        order = order[count:]


def rows_at_once(model: Any) -> Callable[[int], int]:
    """Return how many rows of a length have room in memory, as a function of the length."""
    config = model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    token = 2 * config.num_hidden_layers * heads * size * model.dtype.itemsize
    free = psutil.virtual_memory().available
    if model.device.type == "cuda":
        cached = torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
        free = torch.cuda.mem_get_info(model.device)[0] + cached
    return lambda length: int(SHARE * free / (token * length))


class Rows(DynamicLayer):
    """A layer's keys and values, in storage that has room for more: adding some copies nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.stored: list[torch.Tensor] = []
        self.used = 0

    def update(self, keys: Any, values: Any, *_: Any, **__: Any) -> tuple[Any, Any]:
        """Add keys and values (rows, heads, tokens, size); return all there are."""
        if not self.is_initialized:
            self.lazy_initialization(keys, values)
            self.stored = [keys[:, :, :0], values[:, :, :0]]
        begin, self.used, rows = self.used, self.used + keys.shape[-2], len(keys)
        if self.used > self.stored[0].shape[-2]:
            self.stored = [roomy(p[:rows, :, :begin], self.used) for p in self.stored]
        for place, new in zip(self.stored, (keys, values), strict=True):
            place[:rows, :, begin : self.used] = new
        return self._shown(rows)

    def reorder_cache(self, beam_idx: torch.Tensor) -> None:
        """Keep the rows of these numbers, which may come twice, in their order."""
        rows, used = len(beam_idx), self.used
        parts = [part[beam_idx] for part in (self.keys, self.values)]
        if rows > len(self.stored[0]):
            self.stored = [roomy(part, used) for part in parts]
        else:  # in place: new memory would cost more than to copy
            for place, part in zip(self.stored, parts, strict=True):
                place[:rows, :, :used] = part
        self._shown(rows)

    def _shown(self, rows: int) -> tuple[Any, Any]:
        self.keys, self.values = (part[:rows, :, : self.used] for part in self.stored)
        return self.keys, self.values


def roomy(part: torch.Tensor, used: int) -> torch.Tensor:
    """Copy keys or values into storage that has room for more tokens than are used."""
    rows, heads, _, size = part.shape
    room = part.new_empty((rows, heads, used + max(ROOM, used // 4), size))
    room[:, :, : part.shape[2]] = part
    return room


def drawn_from(scores: torch.Tensor) -> torch.Tensor:
    """Draw a number of every row by its softmax: where its running sum passes a random share."""
    sums = scores.softmax(-1).double().cumsum(-1)
    shares = torch.rand(len(sums), 1, dtype=torch.double, device=sums.device)
    return torch.searchsorted(sums, shares * sums[:, -1:], right=True).squeeze(1)


class Batch:
    """Rows that are written at the same time, one token each at a time."""

    def __init__(
        self,
        model: Any,
        prompts: list[Sequence[int]],
        rooms: list[int],
        method: Method,
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
        new = scores.argmax(-1) if method.temperature == 0 else drawn_from(scores)
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
