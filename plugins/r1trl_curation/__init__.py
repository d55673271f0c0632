"""Filters that choose which sampled completions become training data.

DeepSeek-R1's supervised data came about this way: several completions per prompt, of which only
correct, readable ones without long paragraphs and code blocks were kept.
"""

from collections.abc import Callable, Mapping
from typing import Any

import r1trl
from r1trl_curation.amount import balance, deduplicate, limit, per_prompt
from r1trl_curation.length import token_length
from r1trl_curation.looks import no_code_blocks, readable, short_paragraphs
from r1trl_curation.near import near_duplicates
from r1trl_curation.overlap import decontaminate
from r1trl_curation.style import scripts, tidy
from r1trl_curation.verdict import agreement, correct, difficulty, finished, pass_rate


@r1trl.hookimpl
def r1trl_filters() -> Mapping[str, Callable[..., Any]]:
    """Offer the filters of this package."""
    return {
        "correct": correct,
        "finished": finished,
        "agreement": agreement,
        "pass_rate": pass_rate,
        "difficulty": difficulty,
        "token_length": token_length,
        "short_paragraphs": short_paragraphs,
        "no_code_blocks": no_code_blocks,
        "readable": readable,
        "tidy": tidy,
        "scripts": scripts,
        "deduplicate": deduplicate,
        "near_duplicates": near_duplicates,
        "decontaminate": decontaminate,
        "per_prompt": per_prompt,
        "balance": balance,
        "limit": limit,
    }
