"""Prompts and completions as matrices of ids."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class TokenBatch:
    """Prompts and completions as TRL lays them out, (rows, tokens): padded outside, joined inside.

    `keep` is the width of completions; `mask` is 1 where a token is.
    """

    ids: torch.Tensor
    mask: torch.Tensor
    keep: int

    @property
    def width(self) -> int:
        """Return the width of prompts."""
        return self.ids.shape[1] - self.keep

    @property
    def prompts(self) -> torch.Tensor:
        """Return the number of tokens of every prompt."""
        return self.mask[:, : self.width].sum(1)

    @property
    def completions(self) -> torch.Tensor:
        """Return the number of tokens of every completion."""
        return self.mask[:, self.width :].sum(1)

    def of(self, rows: torch.Tensor) -> "TokenBatch":
        """Return some of the rows."""
        return TokenBatch(self.ids[rows], self.mask[rows], self.keep)
