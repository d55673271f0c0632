"""A reward: what a completion is worth."""

from typing import Any

import r1trl


@r1trl.verifier
def newname(completion: str, *, longest: int = 40) -> float:
    """Return 1 for an empty completion, falling to 0 for one of `longest` words or more.

    Parameters before the * are inputs: completion, prompt, or a column of the rows, such as
    solution. Those after it are options, which recipes and overrides set.
    """
    return max(0.0, 1 - len(completion.split()) / longest)


@r1trl.hookimpl
def r1trl_rewards() -> dict[str, Any]:
    """Offer `newname`."""
    return {"newname": newname}
