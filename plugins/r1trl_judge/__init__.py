"""Rewards by a model: a reward model, or a language model as a judge.

`reward_model` is a trained sequence classifier. `llm_judge` is a language model behind an
OpenAI-compatible endpoint that grades by a rubric; it needs `pip install 'r1trl[judge]'`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import r1trl
from r1trl_judge.filters import llm_judge
from r1trl_judge.llm import LLMJudge
from r1trl_judge.reward import RewardModel


@r1trl.hookimpl
def r1trl_rewards() -> Mapping[str, type]:
    """Offer `reward_model` and `llm_judge`."""
    return {"reward_model": RewardModel, "llm_judge": LLMJudge}


@r1trl.hookimpl
def r1trl_filters() -> Mapping[str, Callable[..., Any]]:
    """Offer the filter `llm_judge`."""
    return {"llm_judge": llm_judge}
