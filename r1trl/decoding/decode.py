"""Completions decoded from a model without redundant work.

Identical prompts are prefilled once; each row gets a copy of the KV cache. Finished rows leave the
batch. The cache is written in place, and a batch has only as many rows as fit in memory. The
result is that of transformers' `generate`: the same tokens if greedy, the same distribution if
sampled.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import psutil
import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from r1trl.decoding.batch import DecodeBatch, StopCondition
from r1trl.decoding.onednn import fast_linear
from r1trl.decoding.sampling_params import SamplingParams

# Called with the numbers of the prompts whose completions have just finished, and their new ids.
OnFinished = Callable[[list[int], list[list[int]]], None]
PASSED = {"attention_mask", "position_ids", "past_key_values", "use_cache", "logits_to_keep"}
CACHE_MEMORY_FRACTION = 0.3  # of the free memory that the KV cache may take


@dataclass
class GeneratedTokens:
    """A completion's ids, with the eos id if it ended in one, and their log-probabilities in nats.

    `logps` has a value per id, or none if not requested. They are of the model's distribution at
    the temperature asked for, however the ids were drawn from it.
    """

    ids: list[int] = field(default_factory=list)
    logps: list[float] = field(default_factory=list)


def can_decode(model: Any) -> bool:
    """Return True if `decode` gives a decoder all it needs: its past is keys and values alone.

    For another kind of memory, transformers' `generate` prepares what only it knows.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    if not set(inspect.signature(base.forward).parameters) >= PASSED:
        return False
    layers = DynamicCache(config=model.config.get_text_config()).layers
    return all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in layers)


@torch.inference_mode()
def decode(
    model: Any,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: Sequence[int],
    params: SamplingParams,
    stop: StopCondition | None = None,
    on_finished: OnFinished | None = None,
    logps_temperature: float | None = None,
) -> list[GeneratedTokens]:
    """Generate a completion for each prompt of ids, without padding; return them in that order.

    `max_new_tokens` has one limit per prompt. `stop` is checked after each token; `on_finished` is
    called whenever rows have finished. Log-probabilities are returned with `logps_temperature`,
    which need not be that of the drawing. Layers of the model are patched meanwhile
    (`fast_linear`).
    """
    results = [GeneratedTokens() for _ in prompts]
    with fast_linear(model, max(max_new_tokens, default=0)):
        for rows in batches(prompts, max_new_tokens, max_rows_for_length(model)):
            part = [prompts[i] for i in rows], [max_new_tokens[i] for i in rows]
            batch = DecodeBatch(model, *part, params, logps_temperature)
            for finished in batch.run(stop):
                for one in finished:
                    results[rows[one.row]] = GeneratedTokens(one.ids, one.logps)
                if on_finished:
                    on_finished([rows[one.row] for one in finished], [one.ids for one in finished])
    return results


def batches(
    prompts: Sequence[Sequence[int]],
    max_new_tokens: Sequence[int],
    max_rows: Callable[[int], int],
) -> Iterator[list[int]]:
    """Yield the row numbers of each batch: longest prompts first, identical ones adjacent.

    `max_rows` is the most rows of a batch, as a function of a row's length in tokens.
    """
    order = sorted(range(len(prompts)), key=lambda i: (-len(prompts[i]), prompts[i]))
    while order:
        length = len(prompts[order[0]]) + max(max_new_tokens[i] for i in order)
        count = max(1, max_rows(length))
        yield order[:count]
        order = order[count:]


def max_rows_for_length(model: Any) -> Callable[[int], int]:
    """Return a function from a row's length in tokens to the number of rows that fit in memory.

    Only the KV cache is counted, against the memory that is free now; activations are not.
    """
    config = model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    token_bytes = 2 * config.num_hidden_layers * heads * dim * model.dtype.itemsize
    free = psutil.virtual_memory().available
    if model.device.type == "cuda":
        where = model.device
        cached = torch.cuda.memory_reserved(where) - torch.cuda.memory_allocated(where)
        free = torch.cuda.mem_get_info(where)[0] + cached
    return lambda length: int(CACHE_MEMORY_FRACTION * free / (token_bytes * length))
