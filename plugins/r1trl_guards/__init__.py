"""Guards: what stands between a user's prompt, a model, and what the user sees.

Samplers that generate, alone or in a chain, for local and served models: `normalise_prompt`,
`retry`, `consensus` and `refuse`. The rewards `refusal` and `safe_reply` say whether an answer
refuses, and whether it should have; the transition `guard_effects` says what a guard gains and what
it costs. The recipe `guards` puts all of it together.
"""

from collections.abc import Callable, Mapping
from typing import Any

import r1trl
from r1trl_guards.consensus import Consensus
from r1trl_guards.effects import guard_effects
from r1trl_guards.normalise import NormalisePrompt
from r1trl_guards.refusal import refusal, safe_reply
from r1trl_guards.refuse import Refuse
from r1trl_guards.retry import Retry


@r1trl.hookimpl
def r1trl_samplers() -> Mapping[str, type]:
    """Offer the guards."""
    return {
        "normalise_prompt": NormalisePrompt,
        "retry": Retry,
        "consensus": Consensus,
        "refuse": Refuse,
    }


@r1trl.hookimpl
def r1trl_rewards() -> Mapping[str, Callable[..., Any]]:
    """Offer `refusal` and `safe_reply`."""
    return {"refusal": refusal, "safe_reply": safe_reply}


@r1trl.hookimpl
def r1trl_transitions() -> Mapping[str, Callable[..., Any]]:
    """Offer `guard_effects`."""
    return {"guard_effects": guard_effects}
