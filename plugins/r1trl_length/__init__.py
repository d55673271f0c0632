"""Rewards for how long a completion is, and for how often it repeats itself.

Reinforcement learning makes completions longer, up to the limit and past what helps. These rewards
answer that: a soft limit (DAPO), a length that pays off by correctness (Yeo et al.), a length
compared with the other answers to the same prompt (Kimi k1.5), and a price on repeated n-grams.
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
