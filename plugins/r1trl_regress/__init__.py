"""What a model can do besides reasoning, measured so that a run shows what it has lost.

Function calls by BFCL's rules, instructions that a program can verify (IFEval), JSON that fits a
schema: rewards, and datasets for them; transitions that compare the models of an `evaluate` stage.
DeepSeek-R1 was behind DeepSeek-V3 in function calls, multi-turn, role-play and JSON output (arXiv
2501.12948v2, section 6). docs/REGRESSIONS.md explains it.
"""

from collections.abc import Callable, Mapping
from typing import Any

import r1trl
from r1trl_regress.bfcl import bfcl
from r1trl_regress.instructions import instructions
from r1trl_regress.paired import gains, no_regression
from r1trl_regress.requests import requests
from r1trl_regress.rewards import FirstOf, function_call, json_schema


@r1trl.hookimpl
def r1trl_rewards() -> Mapping[str, Callable[..., Any]]:
    """Offer the verdicts on calls, instructions and JSON, and one verdict made of several."""
    return {
        "function_call": function_call,
        "instructions": instructions,
        "json_schema": json_schema,
        "first_of": FirstOf,
    }


@r1trl.hookimpl
def r1trl_datasets() -> Mapping[str, Callable[..., Any]]:
    """Offer BFCL, and generated requests of each kind."""
    return {"bfcl": bfcl, "requests": requests}


@r1trl.hookimpl
def r1trl_transitions() -> Mapping[str, Callable[..., Any]]:
    """Offer the comparison of models, and the one that ends a run."""
    return {"gains": gains, "no_regression": no_regression}
