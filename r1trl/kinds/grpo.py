"""Reinforcement learning with GRPO: advantages are relative to the group of a prompt."""

from collections.abc import Mapping

from r1trl import Work
from r1trl.kinds.grpo_fields import GRPO_FIELDS, problems
from r1trl.kinds.rollouts import rollout_kind


def run(work: Work) -> Mapping[str, float]:
    """Train on the stage's rewards with TRL's GRPOTrainer."""
    from trl import GRPOConfig, GRPOTrainer

    return work.train(work.rollouts(GRPOTrainer, GRPOConfig))


KIND = rollout_kind(run=run, trl_config="GRPOConfig", fields=GRPO_FIELDS, problems=problems)
