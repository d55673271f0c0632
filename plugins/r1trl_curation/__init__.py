"""Filters that choose which sampled completions become training data.

DeepSeek-R1's supervised data is made this way: several completions are sampled for each prompt, and
only correct, readable ones without long paragraphs and code blocks are kept.
"""

from collections.abc import Callable, Mapping
from typing import Any

import r1trl
from r1trl_curation.amount import balance, deduplicate, head, per_prompt
from r1trl_curation.decontamination import decontaminate
from r1trl_curation.length import token_length
from r1trl_curation.near_duplicates import deduplicate_near
from r1trl_curation.readability import no_code_blocks, readable, short_paragraphs
from r1trl_curation.scores import correct, difficulty, finished, majority_answer, pass_rate
from r1trl_curation.style import allowed_scripts, no_markdown


@r1trl.hookimpl
def r1trl_filters() -> Mapping[str, Callable[..., Any] | str]:
    """Offer the filters of this package, and their former names."""
    return {
        "correct": correct,
        "finished": finished,
        "majority_answer": majority_answer,
        "pass_rate": pass_rate,
        "difficulty": difficulty,
        "token_length": token_length,
        "short_paragraphs": short_paragraphs,
        "no_code_blocks": no_code_blocks,
        "readable": readable,
        "no_markdown": no_markdown,
        "allowed_scripts": allowed_scripts,
        "deduplicate": deduplicate,
        "deduplicate_near": deduplicate_near,
        "decontaminate": decontaminate,
        "per_prompt": per_prompt,
        "balance": balance,
        "head": head,
        "agreement": "majority_answer",
        "tidy": "no_markdown",
        "scripts": "allowed_scripts",
        "near_duplicates": "deduplicate_near",
        "limit": "head",
    }
