"""The micro-batches of one update, regrouped so that equal prompts are passed together."""

from collections.abc import Iterator
from typing import Any

import torch

from r1trl.packing.logprobs import LogpsAndEntropies

MicroBatch = dict[str, Any]


class Update:
    """The micro-batches of one update: `given`, and `regrouped`, in which equal prompts share one.

    All have the same keys, among them `prompt_ids` and `completion_mask` (rows, columns), and equal
    widths; tensors with a dimension have a row per completion. The sum of the micro-batches'
    gradients is unchanged if the loss does not depend on how rows are grouped. What a loss logs
    does depend on it: `in_given_order` has the values of all passes as the given ones need them.
    """

    def __init__(self, given: list[MicroBatch]) -> None:
        self.given = given
        self._values: dict[int, LogpsAndEntropies] = {}
        names = [name for name, value in given[0].items() if torch.is_tensor(value) and value.dim()]
        joined = {name: torch.cat([batch[name] for batch in given]) for name in names}
        _, prompt = torch.unique(joined["prompt_ids"], dim=0, return_inverse=True)
        mask = joined["completion_mask"]
        self.order = (prompt * (mask.shape[1] + 1) + mask.sum(1)).argsort(stable=True)
        chunks = {name: value[self.order].chunk(len(given)) for name, value in joined.items()}
        self.regrouped = [
            batch | {name: chunks[name][i] for name in names} for i, batch in enumerate(given)
        ]

    def position(self, micro_batch: MicroBatch) -> int | None:
        """Return where a micro-batch stands among the regrouped ones, or None."""
        found = (i for i, batch in enumerate(self.regrouped) if batch is micro_batch)
        return next(found, None)

    def record(self, position: int, values: LogpsAndEntropies) -> bool:
        """Keep what the pass of a regrouped micro-batch gave; return True if it was the last."""
        logps, entropies = values
        detached = None if entropies is None else entropies.detach()
        self._values[position] = LogpsAndEntropies(logps.detach(), detached)
        return len(self._values) == len(self.given)

    def in_given_order(self) -> Iterator[tuple[MicroBatch, LogpsAndEntropies]]:
        """Yield every given micro-batch with the values of its rows; forget them all."""
        passed, back = [self._values[i] for i in range(len(self.given))], self.order.argsort()
        self._values = {}
        parts = [
            torch.cat(list(values))[back].chunk(len(self.given))
            for values in zip(*passed, strict=True)
            if values[0] is not None
        ]
        for given, *values in zip(self.given, *parts, strict=True):
            yield given, LogpsAndEntropies(values[0], values[1] if len(values) > 1 else None)


def can_regroup(micro_batch: MicroBatch) -> bool:
    """Return True if a micro-batch has a row per completion and no more: no images."""
    rows = len(micro_batch["completion_mask"])
    return not any(
        isinstance(value, list) or (torch.is_tensor(value) and value.dim() and len(value) != rows)
        for value in micro_batch.values()
    )
