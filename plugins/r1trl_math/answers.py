r"""Extraction of a completion's final answer, in time linear in the completion's length.

Only the final part of a completion counts: the text after the last `</think>`, or all of it if
nothing was thought; thinking that has not ended gives no answer. If a completion gives several
answers, the last one counts.
"""

import re
from typing import Literal

import r1trl

AnswerSource = Literal["boxed", "answer_tag", "tag_or_box", "last_number", "latex_any", "choice"]

BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
BARE_BOX = re.compile(r"\\boxed\s+([^\s{}$]+)")
BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
NUMBER = re.compile(r"(?<![\w.)])-?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+|/\d+)?|\d+(?:\.\d+)?")
OPTION = re.compile(
    r"(?:\\(?:text|mathrm|mathbf|textbf)\{)?\s*[(\[]?\s*([A-Ja-j])\s*[)\]]?\s*\}?\.?"
)
STATED = re.compile(r"[Aa]nswer(?: is\b)?[\s:*(\[]{1,10}([A-J])(?![\w'’])")
MAX_OPTION_CHARACTERS = 40


def last_boxed(text: str) -> str | None:
    r"""Return the content of the last \boxed{}; None if there is none or its braces never close."""
    boxes = list(BOX.finditer(text))
    if not boxes:
        bare = BARE_BOX.findall(text)
        return bare[-1] if bare else None
    start, depth = boxes[-1].end(), 1
    for brace in BRACE.finditer(text, start):
        depth += {"{": 1, "}": -1}.get(brace.group(), 0)
        if depth == 0:
            return text[start : brace.start()].strip()
    return None


def last_tagged(text: str) -> str | None:
    r"""Return the content of the last `<answer>…</answer>`; a \boxed{} inside it is unwrapped."""
    before, closing, _ = text.rpartition("</answer>")
    _, opening, inside = before.rpartition("<answer>")
    if not (closing and opening):
        return None
    boxed = last_boxed(inside)
    return inside.strip() if boxed is None else boxed


def last_number(text: str) -> str | None:
    """Return the last number: an integer, a decimal or a simple fraction such as 3/4."""
    numbers = NUMBER.findall(text)
    return numbers[-1] if numbers else None


def option_letter(text: str) -> str | None:
    r"""Return the letter A to J if the text is nothing else: B, b, (B), B. or \text{B}."""
    text = text.strip()
    match = OPTION.fullmatch(text) if len(text) <= MAX_OPTION_CHARACTERS else None
    return match.group(1).upper() if match else None


def choice(text: str) -> str | None:
    r"""Return the option chosen in the last \boxed{}, else `<answer>`, else "Answer: X"."""
    for extracted in (last_boxed(text), last_tagged(text)):
        if extracted is not None:
            return option_letter(extracted)
    stated = STATED.findall(text)
    return stated[-1] if stated else None


def extract_answer(completion: str, source: AnswerSource) -> str | None:
    """Return the answer from its place in the completion's final part, or None.

    Raises ValueError on an unknown place.
    """
    final = r1trl.final_part(completion)
    if final is None:
        return None
    match source:
        case "boxed":
            return last_boxed(final)
        case "answer_tag":
            return last_tagged(final)
        case "tag_or_box":
            tagged = last_tagged(final)
            return last_boxed(final) if tagged is None else tagged
        case "last_number":
            return last_number(final)
        case "choice":
            return choice(final)
        case "latex_any":
            return final
    raise ValueError(f"no answer source {source!r}")
