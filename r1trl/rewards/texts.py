"""The texts that rewards read: the final part of a completion, and the gold answer of a row."""

import math
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

THINK, END = "<think>", "</think>"


def with_prefill(prompt: Any, completion: str) -> str:
    """Return the completion, after the `<think>` at the end of its prompt if there is one.

    A prompt of messages opens no thinking.
    """
    _, tag, space = prompt.rpartition(THINK) if isinstance(prompt, str) else ("", "", "")
    return tag + space + completion if tag and not space.strip() else completion


def final_part(text: str) -> str | None:
    """Return the text after the last `</think>`, or all of it if nothing was thought.

    None if a `<think>` is still open, for unfinished thinking holds no answer. `with_prefill` gives
    the text of a completion whose prompt begins the thinking.
    """
    after = text.rpartition(END)[2]
    return None if THINK in after else after


def scored_text(prompt: str, completion: str, part: str) -> str:
    """Return the text that a reward model reads, in training and in use: prompt and part.

    `part` is 'response', all of the completion, or 'summary': its final part without answer tags,
    empty if the thinking has not ended, and without a `<think>` that ends the prompt. DeepSeek-R1
    v2, section 3.1: helpfulness is judged on the final summary, safety on everything.
    """
    if part == "response":
        return prompt + completion
    final = final_part(with_prefill(prompt, completion)) or ""
    bare = prompt.rstrip().removesuffix(THINK) if prompt.rstrip().endswith(THINK) else prompt
    return bare + final.replace("<answer>", "").replace("</answer>", "").strip()


def gold_texts(solution: Any) -> list[str]:
    """Return a row's gold answers, one or a list of them, as texts; without missing ones."""
    golds = solution if isinstance(solution, list | tuple) else [solution]
    return [text for text in map(gold_text, golds) if text is not None]


def gold_text(value: Any) -> str | None:
    """Return a gold answer as a model would write it; None for a missing one.

    A number is written in full, not as Python prints it: 5e-05 as 0.00005, 42.0 as 42. Missing are
    None, NaN in a column of numbers, and the text "NaN" that becomes of one.
    """
    if isinstance(value, str) or value is None:
        return None if value in ("NaN", "nan") else value
    if hasattr(value, "item"):
        value = value.item()  # a number of numpy's
    if isinstance(value, bool) or not isinstance(value, Real | Decimal):
        return str(value)
    if isinstance(value, Integral):
        return str(int(value))
    if not math.isfinite(value):
        return None if math.isnan(value) else ("-" if value < 0 else "") + "\\infty"
    if isinstance(value, float | Decimal):
        text = format(Decimal(repr(value)) if isinstance(value, float) else value, "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    return str(value)


def gold_hint(gold: Any) -> str:
    """Return how the answer is got out of a gold that holds it after a mark, such as GSM8K's."""
    if "####" not in str(gold):
        return ""
    return (
        "; the answer stands after '####': columns: {solution: \"{{ answer.split('####')[-1] }}\"} "
        "takes it from a column `answer`, as dataset=gsm8k does"
    )
