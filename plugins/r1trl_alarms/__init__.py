"""Alarms: transitions that end a training stage with an error if its metrics show a problem."""

from collections.abc import Mapping

import r1trl
from r1trl_alarms.divergence import Divergence
from r1trl_alarms.policy import EntropyCollapse, EqualRewards, LengthRunaway
from r1trl_alarms.reward_hacking import FormatOverAccuracy, RewardHacking
from r1trl_alarms.verdicts import NoVerdict


@r1trl.hookimpl
def r1trl_transitions() -> Mapping[str, type]:
    """Offer the alarms of this package."""
    return {
        "divergence": Divergence,
        "equal_rewards": EqualRewards,
        "entropy_collapse": EntropyCollapse,
        "length_runaway": LengthRunaway,
        "no_verdict": NoVerdict,
        "reward_hacking": RewardHacking,
        "format_over_accuracy": FormatOverAccuracy,
    }
