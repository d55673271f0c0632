"""A KV cache that is appended to in place: memory is allocated ahead."""

from typing import Any

import torch
from transformers.cache_utils import DynamicLayer

GROWTH_TOKENS = 32  # the storage grows by at least as many


class PreallocatedLayer(DynamicLayer):
    """One layer's keys and values, `used` tokens of a storage that has room for more.

    `keys`, `values` are views of the storage, each (rows, heads, tokens, dim).
    """

    def __init__(self) -> None:
        super().__init__()
        self.storage: list[torch.Tensor] = []  # keys, values
        self.used = 0

    def update(self, keys: Any, values: Any, *_: Any, **__: Any) -> tuple[Any, Any]:
        """Append keys and values (rows, heads, tokens, dim); return views of all of them.

        Memory is allocated and all is copied only if the storage is full.
        """
        if not self.is_initialized:
            self.lazy_initialization(keys, values)
            self.storage = [keys[:, :, :0], values[:, :, :0]]
        start, self.used, rows = self.used, self.used + keys.shape[-2], len(keys)
        if self.used > self.storage[0].shape[-2]:
            self.storage = [grown(part[:rows, :, :start], self.used) for part in self.storage]
        for part, new in zip(self.storage, (keys, values), strict=True):
            part[:rows, :, start : self.used] = new
        return self._views(rows)

    def reorder_cache(self, beam_idx: torch.Tensor) -> None:
        """Make old row `beam_idx[i]` the new row i; rows may be repeated and dropped.

        Memory is allocated only if there are more rows than the storage has.
        """
        rows, used = len(beam_idx), self.used
        parts = [part[beam_idx] for part in (self.keys, self.values)]
        if rows > len(self.storage[0]):
            self.storage = [grown(part, used) for part in parts]
        else:  # in place: new memory would cost more than to copy
            for stored, part in zip(self.storage, parts, strict=True):
                stored[:rows, :, :used] = part
        self._views(rows)

    def _views(self, rows: int) -> tuple[Any, Any]:
        """Set and return `keys` and `values`: the first rows and the used tokens."""
        self.keys, self.values = (part[:rows, :, : self.used] for part in self.storage)
        return self.keys, self.values


def grown(part: torch.Tensor, used: int) -> torch.Tensor:
    """Copy keys or values into new storage for `used` tokens and at least a quarter more."""
    rows, heads, tokens, dim = part.shape
    storage = part.new_empty((rows, heads, used + max(GROWTH_TOKENS, used // 4), dim))
    storage[:, :, :tokens] = part
    return storage
