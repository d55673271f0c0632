"""Alarms: transitions that watch a training stage, and fail it with what they have seen."""

from collections.abc import Mapping

import r1trl
from r1trl_alarms.divergence import Divergence
from r1trl_alarms.opposed import FormatOverAccuracy, RewardHacking
from r1trl_alarms.policy import EntropyCollapse, EqualRewards, LengthRunaway


@r1trl.hookimpl
def r1trl_transitions() -> Mapping[str, type]:
    """Offer the alarms of this package."""
    return {
        "divergence": Divergence,
        "equal_rewards": EqualRewards,
        "entropy_collapse": EntropyCollapse,
        "length_runaway": LengthRunaway,
        "reward_hacking": RewardHacking,
        "format_over_accuracy": FormatOverAccuracy,
    }
