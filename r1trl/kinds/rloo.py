"""Reinforcement learning with RLOO: each completion's baseline is the mean of the others'."""

from collections.abc import Iterator, Mapping
from typing import Any

from r1trl import Field, Work
from r1trl.kinds.rollouts import ROLLOUT_FIELDS, rollout_kind, rollout_problems

RLOO_FIELDS: Mapping[str, Field] = {
    **ROLLOUT_FIELDS,
    "normalize_advantages": Field(),
    "reward_clip_range": Field(),
}


def run(work: Work) -> Mapping[str, float]:
    """Train on the stage's rewards with TRL's RLOOTrainer."""
    from trl import RLOOConfig, RLOOTrainer

    return work.train(work.rollouts(RLOOTrainer, RLOOConfig))


def problems(stage: Any) -> Iterator[tuple[str, str]]:
    """Yield what does not go together in a stage of kind rloo."""
    yield from rollout_problems(stage, beta=0.05)
    low, high = stage.args.get("reward_clip_range") or (0, 1)
    if low >= high:
        yield "args.reward_clip_range", f"{low:g} is not below {high:g}"


KIND = rollout_kind(run=run, trl_config="RLOOConfig", fields=RLOO_FIELDS, problems=problems)
