"""Inference-time methods: `generate` samplers for sample and evaluate stages.

The cost of each is in the column `tokens_spent` of the rollouts, which counts the tokens of
discarded candidates too. DeepSeek-R1's authors tried tree search and process reward models without
success (arXiv 2501.12948v1, section 4.2); the recipe `search` measures them.
"""

from collections.abc import Mapping

import r1trl
from r1trl_search.beam import BeamSearch
from r1trl_search.choice import BestOfN, MajorityVote
from r1trl_search.thinking import BudgetForcing, ThinkPrefill
from r1trl_search.tree import TreeSearch


@r1trl.hookimpl
def r1trl_samplers() -> Mapping[str, type]:
    """Return the samplers of this package by name."""
    return {
        "think_prefill": ThinkPrefill,
        "budget_forcing": BudgetForcing,
        "best_of_n": BestOfN,
        "majority_vote": MajorityVote,
        "beam_search": BeamSearch,
        "tree_search": TreeSearch,
    }
