"""The built-in kinds of stages, offered by the entry point `kinds` like anybody's.

Nothing imports this folder; it may import every lower one, and torch and TRL inside `run` only.
"""

from collections.abc import Mapping

import r1trl
from r1trl.kinds import evaluate, grpo, reward_model, rloo, sample, sft


@r1trl.hookimpl
def r1trl_kinds() -> Mapping[str, r1trl.Kind]:
    """Offer the kinds that the shipped recipes use."""
    return {
        "sft": sft.KIND,
        "grpo": grpo.KIND,
        "rloo": rloo.KIND,
        "reward_model": reward_model.KIND,
        "sample": sample.KIND,
        "evaluate": evaluate.KIND,
    }
