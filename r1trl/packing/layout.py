"""Which tokens of a packed sequence attend to which, as each way to attend takes it.

torch's `scaled_dot_product_attention` takes rows of similar length, padded, in buckets; a kernel
for rows of any length takes where each begins, in segments. Both are made from the same lengths at
their first use, so that only that one is made which is used.
"""

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import torch

CALL_OVERHEAD_TOKENS = 256  # tokens of padding that take as long as a further call


@dataclass(frozen=True)
class Bucket:
    """Rows of similar length, which attend in one call; neighbours in the packed sequence.

    `gather_index` (rows, longest) int64 is the index of each token among the bucket's tokens;
    entries past a row's end are arbitrary. `valid_index` (tokens of the bucket,) int64 is the index
    of each token in the flattened (rows, longest). If the rows continue shared prompts,
    `prefix_index` (rows, longest prefix) int64 is the index of each prefix token among the tokens
    of all prompts, and `mask` (rows or 1, 1, longest, longest prefix + longest) bool is True for
    the keys that a query attends to.
    """

    gather_index: torch.Tensor
    valid_index: torch.Tensor
    prefix_index: torch.Tensor | None = None
    mask: torch.Tensor | None = None


@dataclass(frozen=True)
class Segments:
    """Where the queries and the keys of each row begin, if both stand one row after another.

    `cu_seq_q` and `cu_seq_k` (rows + 1,) int32 end with the number of queries, of keys; `max_q` and
    `max_k` are the most of a row. A row's last query is its last key's: it attends to all of them.
    `key_index` (keys,) int64 is the index of each key in the packed sequence, None if the keys are
    its tokens as they stand.
    """

    cu_seq_q: torch.Tensor
    cu_seq_k: torch.Tensor
    max_q: int
    max_k: int
    key_index: torch.Tensor | None = None


class PackedLayout:
    """The rows of a packed sequence: shared prompts, and then the rows that continue them.

    `lengths` (rows,) int64 are in the order of the sequence, the longest first among prompts and
    among others, none empty. The first `prompts` are prompts. If there are any, `prefixes` are the
    index of each row's first prefix token and the length of its prefix, (rows,) int64, both 0 for
    prompts. `attention_calls` counts the calls of `packed_attention` without a mask of the model's
    own.
    """

    # Not a dataclass: FSDP would copy one, and `attention_calls` would be counted in the copy.
    def __init__(
        self,
        lengths: torch.Tensor,
        prompts: int = 0,
        prefixes: tuple[torch.Tensor, torch.Tensor] | None = None,
    ) -> None:
        self.lengths, self.prompts, self.prefixes = lengths, prompts, prefixes
        self.attention_calls = 0

    @cached_property
    def prompt_tokens(self) -> int:
        """Return the number of tokens of all prompts; the device is synchronised."""
        return int(self.lengths[: self.prompts].sum())

    @cached_property
    def buckets(self) -> list[Bucket]:
        """Return the buckets in their order: none has both prompts and rows that continue them."""
        parts = [slice(0, self.prompts), slice(self.prompts, len(self.lengths))]
        return [
            self._bucket(slice(part.start + start, part.start + end))
            for part in parts
            for start, end in bucket_ends(self.lengths[part])
        ]

    def _bucket(self, rows: slice) -> Bucket:
        sizes = self.lengths[rows]
        steps = torch.arange(int(sizes[0]), device=sizes.device)
        valid_index = (steps < sizes[:, None]).flatten().nonzero().squeeze(1)
        gather_index = (_starts(sizes)[:-1, None] + steps).clamp(max=len(valid_index) - 1)
        if self.prefixes is None or rows.start < self.prompts:
            return Bucket(gather_index, valid_index)
        first, prefix_lengths = (part[rows] for part in self.prefixes)
        prefix_steps = torch.arange(int(prefix_lengths.max()), device=sizes.device)
        prefix_index = (first[:, None] + prefix_steps).clamp(max=self.prompt_tokens - 1)
        mask = prefix_causal_mask(prefix_lengths, len(prefix_steps), len(steps))
        return Bucket(gather_index, valid_index, prefix_index, mask)

    @cached_property
    def segments(self) -> Segments:
        """Return the rows as a kernel takes them that attends to rows of any length in one call."""
        own = _starts(self.lengths)
        longest = int(self.lengths.max())
        if self.prefixes is None:
            return Segments(own.int(), own.int(), longest, longest)
        first, before = self.prefixes
        counts = before + self.lengths
        keys = _starts(counts)
        steps = torch.arange(int(keys[-1]), device=keys.device)
        steps -= keys[:-1].repeat_interleave(counts)
        rows = torch.arange(len(counts), device=keys.device).repeat_interleave(counts)
        index = torch.where(
            steps < before[rows], first[rows] + steps, own[rows] + steps - before[rows]
        )
        return Segments(own.int(), keys.int(), longest, int(counts.max()), index)


def moved(part: Any, device: torch.device) -> Any:
    """Return a bucket or segments on a layer's device: a model may be spread over several."""
    values = {field.name: getattr(part, field.name) for field in fields(part)}
    tensors = {name: value for name, value in values.items() if torch.is_tensor(value)}
    if all(value.device == device for value in tensors.values()):
        return part
    return replace(part, **{name: value.to(device) for name, value in tensors.items()})


def longest_first(lengths: torch.Tensor) -> torch.Tensor:
    """Return the numbers of the rows that are not empty, longest first: int64.

    `lengths` is (rows,) int64; the device is synchronised.
    """
    order = lengths.argsort(descending=True, stable=True)
    return order[lengths[order] > 0]


def bucket_ends(lengths: torch.Tensor) -> list[tuple[int, int]]:
    """Return the first row of each bucket and the one after its last.

    The buckets minimise the padded tokens plus `CALL_OVERHEAD_TOKENS` per bucket, by dynamic
    programming. `lengths` is (rows,) int64 and descending; the device is synchronised.
    """
    descending = lengths.tolist()
    total = len(descending)
    ends = [i for i in range(1, total) if descending[i] < descending[i - 1]] + [total]
    best: dict[int, tuple[float, int]] = {0: (0.0, 0)}  # end -> cost so far, start of last bucket
    for end in ends if total else ():
        best[end] = min(
            (cost + CALL_OVERHEAD_TOKENS + (end - start) * descending[start], start)
            for start, (cost, _) in best.items()
        )
    found, end = [], total
    while end:
        start = best[end][1]
        found.append((start, end))
        end = start
    return found[::-1]


def prefix_causal_mask(lengths: torch.Tensor, width: int, count: int) -> torch.Tensor:
    """Return the mask of `count` tokens after a prefix: (rows, 1, count, width + count) bool.

    `lengths` (rows,) int64 are those of the prefixes, right-padded to `width`. If all are of that
    length, the mask has one row, which stands for all.
    """
    device, rows = lengths.device, 1 if bool((lengths == width).all()) else len(lengths)
    prefix = torch.arange(width, device=device) < lengths[:rows, None]
    prefix = prefix[:, None, None].expand(-1, 1, count, -1)
    causal = torch.ones((count, count), dtype=torch.bool, device=device).tril()
    return torch.cat([prefix, causal.expand(rows, 1, -1, -1)], -1)


def _starts(lengths: torch.Tensor) -> torch.Tensor:
    """Return where each of neighbouring rows begins, and where the last ends: (rows + 1,) int64."""
    return torch.nn.functional.pad(lengths.cumsum(0), (1, 0))
