"""Inference-time methods: samplers that decide how completions are drawn, in sample and evaluate.

What each costs is in the column `tokens_spent` of the rollouts, which counts the tokens of
candidates that were thrown away too. DeepSeek-R1 tried tree search and reward models of steps
without success (arXiv 2501.12948v1, section 4.2): the recipe `search` lets people see for
themselves what they give.
"""

from collections.abc import Mapping

import r1trl
from r1trl_search.beam import BeamSearch
from r1trl_search.choice import BestOfN, MajorityVote
from r1trl_search.thinking import BudgetForcing, ThinkPrefill
from r1trl_search.tree import TreeSearch


@r1trl.hookimpl
def r1trl_samplers() -> Mapping[str, type]:
    """Offer the samplers of this package."""
    return {
        "think_prefill": ThinkPrefill,
        "budget_forcing": BudgetForcing,
        "best_of_n": BestOfN,
        "majority_vote": MajorityVote,
        "beam_search": BeamSearch,
        "tree_search": TreeSearch,
    }
