"""Variants of how a prompt is rendered, and the variant that changes nothing."""

import random
from dataclasses import replace

import r1trl
from r1trl import PromptSettings
from r1trl_variants.question import Row
from r1trl_variants.texts import SYSTEM


@r1trl.describe(keeps_answer=True)
def identity(row: Row, settings: PromptSettings, rng: random.Random) -> tuple[Row, PromptSettings]:
    """Leave everything as it is."""
    return row, settings


@r1trl.describe(keeps_answer=True)
def system(
    row: Row, settings: PromptSettings, rng: random.Random, *, text: str | None = SYSTEM
) -> tuple[Row, PromptSettings]:
    """Give the prompt the system prompt `text`, in place of any other; null: none.

    A raw template gets it as a line before all of it, and has none to lose.
    """
    if settings.template is not None:
        line = "" if text is None else f"{{% raw %}}{text}{{% endraw %}}\n"
        return row, replace(settings, template=line + settings.template)
    prompt, own = row["prompt"], dict(row)
    if not isinstance(prompt, str) and prompt[0].get("role") in ("system", "developer"):
        own["prompt"] = prompt[1:]
    if "system" in own:
        own["system"] = None
    return own, replace(settings, system=text)


@r1trl.describe(keeps_answer=True)
def prefill(
    row: Row, settings: PromptSettings, rng: random.Random, *, text: str = "<think>\n"
) -> tuple[Row, PromptSettings]:
    """Begin the completion with `text`, in place of any other beginning; empty: with nothing."""
    return row, replace(settings, prefill=text)
