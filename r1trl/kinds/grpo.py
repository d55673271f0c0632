"""Reinforcement learning with GRPO: advantages are relative to the group of a prompt."""

from collections.abc import Mapping
from typing import Any

from r1trl import Kind, Work


def run(work: Work) -> Mapping[str, float]:
    """Train on the stage's rewards with TRL's GRPOTrainer."""
    from trl import GRPOConfig, GRPOTrainer

    return work.train(work.rollouts(GRPOTrainer, GRPOConfig))


def steps_of_outputs(stage: Any) -> str:
    """Return the updates of a stage and the completions in each, in words."""
    outputs = stage.rollout.outputs // stage.rollout.minibatches
    return f"{stage.args.get('max_steps', '?')} steps × {outputs} outputs"


KIND = Kind(
    run=run,
    trl_config="GRPOConfig",
    draws="while training",
    needs=("model", "data", "rewards"),
    takes=("samplers", "rollout", "adapter"),
    columns=lambda stage: ("prompt",),
    size=steps_of_outputs,
)
