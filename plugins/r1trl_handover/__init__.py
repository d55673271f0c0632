"""Transitions: when a stage ends, what it hands over, and whether the run continues."""

from collections.abc import Callable, Mapping
from typing import Any

import r1trl
from r1trl_handover.adapter import merged
from r1trl_handover.average import AverageCheckpoints
from r1trl_handover.checkpoint import BestCheckpoint
from r1trl_handover.hardest import hardest_problems
from r1trl_handover.limits import Budget, Threshold, Truncation
from r1trl_handover.model_check import check_model
from r1trl_handover.plateau import Plateau
from r1trl_handover.require import require


@r1trl.hookimpl
def r1trl_transitions() -> Mapping[str, Callable[..., Any] | str]:
    """Offer the transitions of this package, and their former names."""
    return {
        "plateau": Plateau,
        "threshold": Threshold,
        "truncation": Truncation,
        "budget": Budget,
        "best_checkpoint": BestCheckpoint,
        "average_checkpoints": AverageCheckpoints,
        "merge_adapter": merged,
        "hardest_problems": hardest_problems,
        "check_model": check_model,
        "require": require,
        "sound_model": "check_model",
    }
