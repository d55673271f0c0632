"""Rows that move between the processes of a training."""

from collections.abc import Sequence

import torch


class Exchange:
    """Where the rows of one update go, and how what is computed of them comes back.

    `dealt` are the rows that each process gets, in their new order; all have equally many. Rows are
    numbered through: those of process 0 first. `process` is this one's rank.
    """

    def __init__(self, dealt: Sequence[Sequence[int]], process: int) -> None:
        size = len(dealt[process])
        self._leaving = [row % size for rows in dealt for row in rows if row // size == process]
        self._leaving_counts = [sum(row // size == process for row in rows) for rows in dealt]
        sources = [row // size for row in dealt[process]]
        self._arriving = sorted(range(size), key=sources.__getitem__)
        self._arriving_counts = [sources.count(source) for source in range(len(dealt))]

    def there(self, values: torch.Tensor) -> torch.Tensor:
        """Return values (rows, …) of the dealt rows, given those of the own ones: a collective.

        All processes give the same shape.
        """
        arrived = _swapped(values[self._leaving], self._leaving_counts, self._arriving_counts)
        return _placed(arrived, self._arriving)

    def back(self, values: torch.Tensor) -> torch.Tensor:
        """Return values (rows, …) of the own rows, given those of the dealt ones: a collective."""
        arrived = _swapped(values[self._arriving], self._arriving_counts, self._leaving_counts)
        return _placed(arrived, self._leaving)


def _swapped(values: torch.Tensor, leaving: list[int], arriving: list[int]) -> torch.Tensor:
    """Send the first `leaving[0]` rows to process 0, and so on; return what all have sent."""
    if len(leaving) == 1:
        return values
    arrived = torch.empty_like(values)
    torch.distributed.all_to_all_single(arrived, values.contiguous(), arriving, leaving)
    return arrived


def _placed(values: torch.Tensor, places: list[int]) -> torch.Tensor:
    placed = torch.empty_like(values)
    placed[places] = values
    return placed
