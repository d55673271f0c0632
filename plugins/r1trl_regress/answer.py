"""The answer in a completion, which is what the rewards of this package read."""

from typing import Any

import r1trl


def answer_of(prompt: Any, completion: str) -> str:
    """Return the text after the thinking, or what its last answer tags hold if it has any.

    Empty if the thinking has not ended. `prompt` is a text, which may begin the thinking.
    """
    text = r1trl.with_prefill(prompt, completion) if isinstance(prompt, str) else completion
    final = r1trl.final_part(text) or ""
    before, end, _ = final.rpartition("</answer>")
    _, start, inside = before.rpartition("<answer>")
    return (inside if start and end else final).strip()
