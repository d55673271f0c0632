"""Language consistency: a reward and filters for the language of the thinking.

Reinforcement learning alone mixes languages; DeepSeek-R1 adds a language consistency reward in its
later stages and drops mixed chains of thought from its SFT data (arXiv 2501.12948v2).
"""

from collections.abc import Mapping
from typing import Any

import r1trl
from r1trl_language.filters import in_language, one_language
from r1trl_language.reward import language_consistency


@r1trl.hookimpl
def r1trl_rewards() -> Mapping[str, Any]:
    """Offer `language_consistency`."""
    return {"language_consistency": language_consistency}


@r1trl.hookimpl
def r1trl_filters() -> Mapping[str, Any]:
    """Offer `one_language` and `in_language`."""
    return {"one_language": one_language, "in_language": in_language}
