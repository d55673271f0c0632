"""The language of the thinking: rewards and filters for its consistency, and reflection words.

Reinforcement learning alone mixes languages; DeepSeek-R1 adds a language consistency reward in its
later stages and drops mixed chains of thought from its SFT data (arXiv 2501.12948v2). It also lets
words such as "wait" and "check" grow, which the paper counts.
"""

from collections.abc import Mapping
from typing import Any

import r1trl
from r1trl_language.filters import in_language, one_language
from r1trl_language.reflection import reflection_words
from r1trl_language.reward import language_consistency


@r1trl.hookimpl
def r1trl_rewards() -> Mapping[str, Any]:
    """Offer `language_consistency` and `reflection_words`."""
    return {
        "language_consistency": language_consistency,
        "reflection_words": reflection_words,
    }


@r1trl.hookimpl
def r1trl_filters() -> Mapping[str, Any]:
    """Offer `one_language` and `in_language`."""
    return {"one_language": one_language, "in_language": in_language}
