"""A reward that costs next to nothing: 1 if the text between answer tags is the solution."""

import re
from typing import Any

import r1trl

TAGGED = re.compile(r"<answer>([^<]*)</answer>")


def right(prompts: Any, completions: Any, completion_ids: Any, **columns: Any) -> list[float]:
    """Compare the last tagged answer, or the last word, with the column `solution` or `answer`."""
    solutions = columns.get("solution") or columns["answer"]
    return [
        float(answer_of(text) == str(s)) for text, s in zip(completions, solutions, strict=True)
    ]


def answer_of(text: str) -> str:
    """Return the answer in a text."""
    answers = TAGGED.findall(text) or text.split() or [""]
    return str(answers[-1]).strip(" .*$")


@r1trl.hookimpl
def r1trl_rewards() -> dict[str, Any]:
    """Offer the reward."""
    return {"right": right}
