"""TRL's own rewards, each as TRL computes it, for comparison and migration.

Names are TRL's, prefixed with `trl_`; options are TRL's parameters under their names. TRL takes
seconds to import and is imported on the first call of a reward.
"""

from collections.abc import Mapping
from typing import Any

import r1trl
from r1trl_trl.rewards import (
    trl_accuracy,
    trl_cosine_scaled,
    trl_reasoning_accuracy,
    trl_repetition_penalty,
    trl_soft_overlong_punishment,
    trl_think_format,
)


@r1trl.hookimpl
def r1trl_rewards() -> Mapping[str, Any]:
    """Offer every reward of `trl.rewards`."""
    return {
        "trl_accuracy": trl_accuracy,
        "trl_reasoning_accuracy": trl_reasoning_accuracy,
        "trl_think_format": trl_think_format,
        "trl_cosine_scaled": trl_cosine_scaled,
        "trl_repetition_penalty": trl_repetition_penalty,
        "trl_soft_overlong_punishment": trl_soft_overlong_punishment,
    }
