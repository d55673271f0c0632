"""The micro-batches of one update: as TRL gives them, and as they are dealt to all processes."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from r1trl.dealing.cells import Cell, Row, deal
from r1trl.dealing.exchange import Exchange
from r1trl.packing.logprobs import LogpsAndEntropies
from r1trl.stage.ranks import from_all, rank, world_size

MicroBatch = dict[str, Any]
MULTIPLIER = 6364136223846793005  # odd, so that its powers modulo 2^64 stay apart


class Update:
    """The micro-batches of one update on this process: `given`, and those `dealt` to it.

    All processes make it together, with micro-batches of the same keys, among them those of TRL's
    rollout; tensors with a dimension have a row per completion. `cells` are the row numbers of all
    processes' micro-batches (see `deal`), `widths` the columns of the widest tensor of each name.
    The mean of all processes' gradients is unchanged if the loss does not depend on how rows are
    grouped. What a loss logs does depend on it: `in_given_order` has the values of all passes as
    the given ones need them.
    """

    def __init__(
        self, given: list[MicroBatch], cells: Sequence[Sequence[Cell]], widths: dict[str, int]
    ) -> None:
        self.given = given
        self._values: dict[int, LogpsAndEntropies] = {}
        self._exchange = Exchange([[row for cell in own for row in cell] for own in cells], rank())
        chunks = {
            name: self._exchange.there(
                widened(torch.cat([batch[name] for batch in given]), name, width)
            ).chunk(len(given))
            for name, width in widths.items()
        }
        self.dealt = [
            batch | {name: chunks[name][i] for name in chunks} for i, batch in enumerate(given)
        ]

    def position(self, micro_batch: MicroBatch) -> int | None:
        """Return where a micro-batch stands among the dealt ones, or None."""
        found = (i for i, batch in enumerate(self.dealt) if batch is micro_batch)
        return next(found, None)

    def record(self, position: int, values: LogpsAndEntropies) -> bool:
        """Keep what the pass of a dealt micro-batch gave; return True if it was the last."""
        logps, entropies = values
        detached = None if entropies is None else entropies.detach()
        self._values[position] = LogpsAndEntropies(logps.detach(), detached)
        return len(self._values) == len(self.given)

    def in_given_order(self) -> Iterator[tuple[MicroBatch, LogpsAndEntropies]]:
        """Yield every given micro-batch with the values of its rows; forget them all.

        A collective: the values come from the processes that have passed the rows.
        """
        passed = [self._values[i] for i in range(len(self.given))]
        self._values = {}
        width = self.given[0]["completion_mask"].shape[1]
        parts = [
            self._exchange.back(torch.cat(list(values)))[:, :width].chunk(len(self.given))
            for values in zip(*passed, strict=True)
            if values[0] is not None
        ]
        for given, *values in zip(self.given, *parts, strict=True):
            yield given, LogpsAndEntropies(values[0], values[1] if len(values) > 1 else None)


def updates_of(given: list[MicroBatch], size: int, packs: Callable[[], bool]) -> list[Update]:
    """Return the updates of a rollout's micro-batches, `size` in each; [] if its rows must stay.

    A collective. `packs`, which is one too, says if rows are passed without padding.
    """
    groups = [given[start : start + size] for start in range(0, len(given), size)]
    shared = from_all((widths_of(given[0]), [rows_of(group) for group in groups]))
    widths = shared[0][0]
    if not widths or any(other.keys() != widths.keys() for other, _ in shared):
        return []
    widest = {name: max(other[name] for other, _ in shared) for name in widths}
    packed = packs()
    updates = []
    for number, group in enumerate(groups):
        rows = [row for _, everyone in shared for row in everyone[number]]
        updates.append(Update(group, deal(rows, world_size(), len(group), packed), widest))
    return updates


def widths_of(micro_batch: MicroBatch) -> dict[str, int]:
    """Return the columns of each tensor with rows, 0 of vectors; {} if one has other rows.

    Those of images are no completions, and lists do not move between processes.
    """
    count, widths = len(micro_batch["completion_mask"]), dict[str, int]()
    for name, value in micro_batch.items():
        if isinstance(value, list):
            return {}
        if torch.is_tensor(value) and value.dim():
            if len(value) != count or value.dim() > 2:
                return {}
            widths[name] = value.shape[1] if value.dim() == 2 else 0
    return widths


def rows_of(micro_batches: Sequence[MicroBatch]) -> list[Row]:
    """Return what dealing has to know of each row."""
    rows = []
    for batch in micro_batches:
        mask, completions = batch["prompt_mask"], batch["completion_mask"].sum(1)
        columns = (prompt_numbers(batch["prompt_ids"], mask), mask.sum(1), completions)
        rows += [Row(*row) for row in zip(*(c.tolist() for c in columns), strict=True)]
    return rows


def prompt_numbers(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return a number for each left-padded prompt, whatever its padding: (rows,) int64.

    Two prompts have the same number by a chance of about 2^-64, and are then dealt as if equal.
    """
    powers = torch.full_like(ids[0], MULTIPLIER).cumprod(0).flip(0)
    return ((ids + 1) * mask * powers).sum(1)


def widened(values: torch.Tensor, name: str, width: int) -> torch.Tensor:
    """Return a tensor of a rollout padded with 0 to `width` columns, prompts on the left."""
    missing = width - values.shape[1] if values.dim() == 2 else 0
    side = (missing, 0) if name.startswith("prompt") else (0, missing)
    return torch.nn.functional.pad(values, side) if missing else values
