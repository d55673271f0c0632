"""Rewards for the format of a completion: thinking in tags, then the answer, step by step.

DeepSeek-R1 rewards thinking between `<think>` and `</think>` (arXiv 2501.12948, section 2.2); its
template also asks for `<answer>`. Tags are counted and located, never matched by a pattern over the
whole text, so no text can hide before, between or after them.
"""

from collections.abc import Mapping
from typing import Any

import r1trl
from r1trl_format.rewards import tag_count, think_format
from r1trl_format.steps import reasoning_steps


@r1trl.hookimpl
def r1trl_rewards() -> Mapping[str, Any]:
    """Offer `think_format`, `tag_count` and `reasoning_steps`."""
    return {
        "think_format": think_format,
        "tag_count": tag_count,
        "reasoning_steps": reasoning_steps,
    }
