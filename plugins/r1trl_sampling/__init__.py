"""Samplers: which prompts are rolled out next, and which of their groups are trained on.

`uniform`, `phases` and `curriculum` choose by the optimizer step and the seed alone; `adaptive`
learns from the scores of groups; `dynamic` and `reward_range` are gates, which refuse groups.
"""

from collections.abc import Mapping

import r1trl
from r1trl_sampling.adaptive import Adaptive
from r1trl_sampling.curriculum import Curriculum
from r1trl_sampling.gates import Dynamic, RewardRange
from r1trl_sampling.phases import Phases
from r1trl_sampling.uniform import Uniform


@r1trl.hookimpl
def r1trl_samplers() -> Mapping[str, type]:
    """Offer the samplers of this package."""
    return {
        "uniform": Uniform,
        "phases": Phases,
        "curriculum": Curriculum,
        "adaptive": Adaptive,
        "dynamic": Dynamic,
        "reward_range": RewardRange,
    }
