"""A batch of tokenised prompts and completions."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class TokenBatch:
    """Prompts and completions as TRL lays them out: prompts left-padded, completions right-padded.

    `ids` int64 and `mask` (1 for a token, 0 for padding) are (rows, prompt_width + logits_to_keep);
    `logits_to_keep` is the padded width of completions.
    """

    ids: torch.Tensor
    mask: torch.Tensor
    logits_to_keep: int

    @property
    def prompt_width(self) -> int:
        """Return the padded width of prompts."""
        return self.ids.shape[1] - self.logits_to_keep

    @property
    def prompt_lengths(self) -> torch.Tensor:
        """Return the number of tokens of each prompt: (rows,) int64."""
        return self.mask[:, : self.prompt_width].sum(1)

    @property
    def completion_lengths(self) -> torch.Tensor:
        """Return the number of tokens of each completion: (rows,) int64."""
        return self.mask[:, self.prompt_width :].sum(1)

    def select(self, rows: torch.Tensor) -> "TokenBatch":
        """Return the batch of the given row numbers (int64), in their order."""
        return TokenBatch(self.ids[rows], self.mask[rows], self.logits_to_keep)


def pad_to_widest(
    pieces: Sequence[torch.Tensor], fill: int, left: bool = False
) -> list[torch.Tensor]:
    """Return matrices padded to the widest, on the left or right; vectors stay as they are."""
    if pieces[0].dim() == 1:
        return list(pieces)
    width = max(piece.shape[1] for piece in pieces)
    sides = [(width - p.shape[1], 0) if left else (0, width - p.shape[1]) for p in pieces]
    pairs = zip(pieces, sides, strict=True)
    return [torch.nn.functional.pad(piece, side, value=fill) for piece, side in pairs]
