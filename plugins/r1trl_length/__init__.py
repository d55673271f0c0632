"""Rewards for the length of a completion and for its repetitions.

Reinforcement learning makes completions longer, up to the limit and beyond any use. These rewards
counteract that: a soft limit (DAPO), a length reward that depends on correctness (Yeo et al.), a
length relative to the other completions of the prompt (Kimi k1.5), and a penalty on repeated
n-grams.
"""

from collections.abc import Mapping
from typing import Any

import r1trl
from r1trl_length.length import CosineLength, SoftOverlong, group_length
from r1trl_length.repetition import Repetition


@r1trl.hookimpl
def r1trl_rewards() -> Mapping[str, Any]:
    """Offer `soft_overlong`, `cosine_length`, `group_length` and `repetition`."""
    return {
        "soft_overlong": SoftOverlong,
        "cosine_length": CosineLength,
        "group_length": group_length,
        "repetition": Repetition,
    }
