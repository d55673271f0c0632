"""Rewards given by a model: what a reward model or a language model thinks of an answer.

`reward_model` is a trained sequence classifier. `llm_judge` is a language model behind an
OpenAI-compatible endpoint that grades by a rubric; it needs `pip install 'r1trl[judge]'`.
"""

from collections.abc import Mapping

import r1trl
from r1trl_judge.llm import LLMJudge
from r1trl_judge.reward import RewardModel


@r1trl.hookimpl
def r1trl_rewards() -> Mapping[str, type]:
    """Offer the rewards of this package."""
    return {"reward_model": RewardModel, "llm_judge": LLMJudge}
