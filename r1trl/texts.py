"""Prompts and completions as matrices of ids, and the parts in which models read them."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch

START = 128  # tokens that could be passed in the time that it takes to start a pass
Found = tuple[torch.Tensor, torch.Tensor | None]  # log-probabilities, entropies


@dataclass(frozen=True)
class Texts:
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

    def of(self, rows: torch.Tensor) -> "Texts":
        """Return some of the rows."""
        return Texts(self.ids[rows], self.mask[rows], self.keep)

    def at(self, begin: torch.Tensor, count: int) -> torch.Tensor:
        """Return `count` ids of every row from its column `begin` on, anything beyond the end."""
        columns = begin[:, None] + torch.arange(count, device=self.ids.device)
        return self.ids.gather(1, columns.clamp(max=self.ids.shape[1] - 1))


def parts(
    order: torch.Tensor, lengths: list[int], most: int, split: bool
) -> Iterator[torch.Tensor]:
    """Yield the rows that are passed together, at most so many.

    `order` has their numbers by falling length. Where they are split, it is so that padding and the
    starts of passes take the least time: what is best for the first rows, then for some more.
    """
    if not split:
        yield from torch.split(order, most)
        return
    sizes = [lengths[row] for row in order.tolist()]
    ends = [i for i in range(1, len(sizes)) if sizes[i] < sizes[i - 1]] + [len(sizes)]
    best: dict[int, tuple[float, int]] = {0: (0.0, 0)}  # rows from the first -> cost, last part
    for end in ends:
        best[end] = min(
            (cost + -((begin - end) // most) * START + (end - begin) * sizes[begin], begin)
            for begin, (cost, _) in best.items()
        )
    cuts = [len(sizes)]
    while cuts[-1]:
        cuts.append(best[cuts[-1]][1])
    for begin, end in pairwise(reversed(cuts)):
        yield from torch.split(order[begin:end], most)


def filled(matrix: torch.Tensor, width: int) -> torch.Tensor:
    """Fill a matrix up with zeros on the right."""
    return torch.nn.functional.pad(matrix, (0, width - matrix.shape[1]))
