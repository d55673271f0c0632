"""How many checkpoints a training stage makes, and the transitions that read them."""

import math
from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

from r1trl.types import Progress


@runtime_checkable
class CheckpointReader(Protocol):
    """A transition that reads checkpoints of its stage, `min_checkpoints` of them at least."""

    min_checkpoints: int

    def keep_checkpoints(self, progress: Progress, steps: Sequence[int]) -> Iterable[int]:
        """Return those of the saved steps, in order, whose checkpoints must not be removed yet.

        Called on rank 0 whenever one has been saved; the newest `args.save_total_limit` stay too.
        """
        ...


def checkpoints_made(
    strategy: str, every: float, steps: int | None, epochs: float | None
) -> int | None:
    """Return how many checkpoints a whole training makes; None if that is not known.

    `strategy` is TRL's save_strategy, `every` its save_steps; `steps` and `epochs` are the length,
    None if it is not known. TRL saves the last step too.
    """
    if strategy == "no":
        return 0
    if strategy == "epoch":
        return None if epochs is None else math.ceil(epochs)
    if steps is None:
        return None
    return math.ceil(steps / (every if every >= 1 else math.ceil(steps * every)))


def too_few(reader: CheckpointReader, made: int | None, setting: str) -> str | None:
    """Return why a transition gets too few checkpoints, or None; `setting` is what makes `made`."""
    least = reader.min_checkpoints
    if made is None or made >= least:
        return None
    return f"reads {least} of the stage's checkpoints, and {setting} makes {made or 'none'}"
