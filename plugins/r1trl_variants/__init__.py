"""Variants of a question, and how sensitive a model is to them.

A variant gives the same question another form: other words around it, other spelling, another
system prompt. An `evaluate` stage asks each question in every form that its `variants` name, and
the transition `sensitivity` computes what differs, and how much of that is noise.
"""

from collections.abc import Callable, Mapping
from typing import Any

import r1trl
from r1trl_variants.instructions import (
    boxed,
    examples,
    instruction,
    language,
    paraphrase,
    role_play,
)
from r1trl_variants.options import option_order
from r1trl_variants.settings import identity, prefill, system
from r1trl_variants.spelling import case, punctuation, spacing, typos
from r1trl_variants.transition import sensitivity


@r1trl.hookimpl
def r1trl_variants() -> Mapping[str, Callable[..., Any]]:
    """Offer the variants of this package."""
    return {
        "identity": identity,
        "paraphrase": paraphrase,
        "instruction": instruction,
        "boxed": boxed,
        "examples": examples,
        "language": language,
        "role_play": role_play,
        "spacing": spacing,
        "case": case,
        "punctuation": punctuation,
        "typos": typos,
        "option_order": option_order,
        "system": system,
        "prefill": prefill,
    }


@r1trl.hookimpl
def r1trl_transitions() -> Mapping[str, Callable[..., Any]]:
    """Offer the transition that computes the sensitivity of an evaluation."""
    return {"sensitivity": sensitivity}
