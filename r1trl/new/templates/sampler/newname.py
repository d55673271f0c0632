"""A sampler: which prompts a training stage takes next."""

import random
from typing import Any

import r1trl


class Newname:
    """Choose at random among the shortest prompts, the share `share` of all.

    Other methods that a sampler may have: observe, admit and generate.
    """

    def __init__(self, *, share: float = 0.5) -> None:
        """Refuse a share that is none."""
        if not 0 < share <= 1:
            raise ValueError(f"share is {share}; it is above 0 and at most 1")
        self.share = share

    def choose(self, rows: Any, count: int, step: int, seed: int) -> list[int]:
        """Return `count` numbers of rows; equal arguments must have equal answers."""
        lengths = [len(str(prompt)) for prompt in rows["prompt"]]
        order = sorted(range(len(lengths)), key=lambda row: lengths[row])
        shortest = order[: max(1, round(self.share * len(order)))]
        return random.Random(f"{seed} {step}").choices(shortest, k=count)


@r1trl.hookimpl
def r1trl_samplers() -> dict[str, Any]:
    """Offer `newname`."""
    return {"newname": Newname}
