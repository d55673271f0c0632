"""Decoding: completions drawn from a model, without computing what would be thrown away.

A prompt that stands several times is read once. A completion that has ended leaves the batch, and
its cache with it. The cache is written in place, and no more rows are drawn at once than it has
memory for. What is drawn is what transformers' `generate` draws: token for token where it is
greedy, from the same distribution where it is sampled.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import psutil
import torch

from r1trl.decoding.batch import Batch, Stop
from r1trl.decoding.onednn import fast_linear
from r1trl.decoding.sampling_params import SamplingParams

OnFinished = Callable[
    [list[int], list[list[int]]], None
]  # rows that have just ended, and their ids
SHARE = 0.3  # of the free memory that the cache may take


@dataclass
class GeneratedTokens:
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
    method: SamplingParams,
    stop: Stop | None = None,
    heard: OnFinished | None = None,
    logps: bool = False,
) -> list[GeneratedTokens]:
    """Draw a completion for every prompt, of at most as many tokens as its entry in `rooms`.

    `stop` is asked after every token; `heard` is told as rows end; `logps` asks for
    log-probabilities.
    """
    drawn = [GeneratedTokens() for _ in prompts]
    with fast_linear(model, max(rooms, default=0)):
        for rows in batches(prompts, rooms, max_rows_for_length(model)):
            own = [prompts[i] for i in rows], [rooms[i] for i in rows]
            batch = Batch(model, *own, method, logps)
            for ended in batch.run(stop):
                for row, ids, told in ended:
                    drawn[rows[row]] = GeneratedTokens(ids, told)
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


def max_rows_for_length(model: Any) -> Callable[[int], int]:
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
