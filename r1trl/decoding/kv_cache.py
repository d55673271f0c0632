"""Keys and values of completions that are being written, kept so that little is copied."""

from typing import Any

import torch
from transformers.cache_utils import DynamicLayer

ROOM = 32  # columns that the storage grows by, at least


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
