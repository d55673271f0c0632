"""The reward `reasoning_steps`, and the marks at the start of a line or sentence that it counts."""

import re
from typing import Any

STEP = re.compile(
    r"(?:^|<think>|<answer>)[ \t]*(?:"
    r"(?:#{1,6}[ \t]+)?(?:\*{1,3}|_{1,3})?Step \d{1,4}(?:\*{1,3}|_{1,3})?"
    r"(?:[ \t]*[:：]|[.)](?!\d)|[ \t]+[–—-][ \t]|[ \t]*$)"
    r"|\d{1,4}[.)][ \t]+(?=\S)"
    r"|[-*+•][ \t]+(?=\S)"
    r"|(?:First|Second|Next|Finally),"
    r")"
    r"|[.!?][ \t]+(?:First|Second|Next|Finally),",
    re.MULTILINE,
)
FULL_SCORE_STEPS = 3


def reasoning_steps(
    prompts: list[str], completions: list[str], completion_ids: list[list[int]], **columns: Any
) -> list[float]:
    """Return a third for each mark of a step, at most 1.

    R = min(1, marks / 3). A mark is "Step 1:", "Step 1." or "Step 1" alone, bold or a heading or
    neither ("**Step 1**:"), a numbered item ("1. …", "1) …") or a bullet item
    ("- …", "* …", "+ …", "• …") at the start of a line, or "First,", "Second,", "Next," or
    "Finally," at the start of a line or sentence; all kinds count together. Open-R1's reward of
    this name matches a number only at the start of the whole text, takes rules (---), bold text and
    negative numbers for bullets and 1.5 for an item, and matches its words anywhere. Here a space
    and text must follow the mark of an item, and `<think>` and `<answer>` start a line too.
    """
    return [
        min(1.0, sum(1 for _ in STEP.finditer(text)) / FULL_SCORE_STEPS) for text in completions
    ]
