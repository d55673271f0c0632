"""Reasoning Gym: generated problems of a hundred kinds, with their own scorers.

Needs the package reasoning-gym: `pip install 'r1trl[gym]'`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import r1trl
from r1trl_gym import dataset, reward


@r1trl.hookimpl
def r1trl_datasets() -> Mapping[str, Callable[..., Any]]:
    """Offer the dataset `reasoning_gym`."""
    return {"reasoning_gym": dataset.reasoning_gym}


@r1trl.hookimpl
def r1trl_rewards() -> Mapping[str, Callable[..., Any]]:
    """Offer the reward `reasoning_gym`."""
    return {"reasoning_gym": reward.reasoning_gym}
