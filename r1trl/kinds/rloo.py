"""Reinforcement learning with RLOO: each completion's baseline is the mean of the others'."""

from collections.abc import Mapping
from dataclasses import replace

from r1trl import Work
from r1trl.kinds import grpo


def run(work: Work) -> Mapping[str, float]:
    """Train on the stage's rewards with TRL's RLOOTrainer."""
    from trl import RLOOConfig, RLOOTrainer

    return work.train(work.rollouts(RLOOTrainer, RLOOConfig))


KIND = replace(grpo.KIND, run=run, trl_config="RLOOConfig")
