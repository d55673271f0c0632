"""A variant: the same question in another form."""

import random
from typing import Any

import r1trl


@r1trl.describe(keeps_answer=True)
def newname(
    row: dict[str, Any], settings: r1trl.PromptSettings, rng: random.Random, *, word: str = "please"
) -> tuple[dict[str, Any], r1trl.PromptSettings]:
    """Ask politely, with `word`; a prompt of messages stays as it is.

    `settings` are the template, system prompt, … that the question is asked with; `rng` is for what
    is chosen at random.
    """
    if not isinstance(row["prompt"], str):
        return row, settings
    return {**row, "prompt": f"{row['prompt']} {word.capitalize()}."}, settings


@r1trl.hookimpl
def r1trl_variants() -> dict[str, Any]:
    """Offer `newname`."""
    return {"newname": newname}
