"""The tiny world: bilingual arithmetic in words, small talk and dangers, and two base models.

It has all data that the recipes need, generated without network or GPU. The models in `models/` are
pretrained with examples/pretrain_tiny.py.
"""

from collections.abc import Mapping
from typing import Any

import r1trl
from r1trl_tiny.datasets import tiny_chat, tiny_pairs, tiny_problems, tiny_safety
from r1trl_tiny.guarded import tiny_phrasings, tiny_requests
from r1trl_tiny.turns import tiny_turns


@r1trl.hookimpl
def r1trl_datasets() -> Mapping[str, Any]:
    """Offer problems, conversations, preference pairs, safety labels, and rows for guards."""
    return {
        "tiny_problems": tiny_problems,
        "tiny_turns": tiny_turns,
        "tiny_chat": tiny_chat,
        "tiny_pairs": tiny_pairs,
        "tiny_safety": tiny_safety,
        "tiny_phrasings": tiny_phrasings,
        "tiny_requests": tiny_requests,
    }
