r"""The rewards `think_format` and `tag_count`, and the layouts that they check."""

import re
from typing import Any, Literal

import r1trl

Profile = Literal["think", "think_answer", "think_answer_lines", "boxed"]

TAGS = ("<think>", "</think>", "<answer>", "</answer>")
BRACE = re.compile(r"\\boxed\{|\\\\(?!boxed\{)|\\[{}]|[{}]")


def split(text: str) -> tuple[str, str] | None:
    """Split `<think>thinking</think>rest`; None unless it begins like this, with each tag once."""
    text = text.strip()
    if not text.startswith("<think>") or any(text.count(tag) != 1 for tag in TAGS[:2]):
        return None
    thinking, _, rest = text.removeprefix("<think>").partition("</think>")
    return thinking.strip(), rest.strip()


def is_answer(rest: str) -> bool:
    """Return True if the text is one `<answer>…</answer>`, not empty, and nothing else."""
    if any(rest.count(tag) != 1 for tag in TAGS[2:]):
        return False
    inside = rest.removeprefix("<answer>").removesuffix("</answer>")
    return len(inside) == len(rest) - len("<answer></answer>") and bool(inside.strip())


def is_in_lines(text: str) -> bool:
    """Return True if the four tags, each once and in order, are on lines of their own."""
    borders = text.startswith("<think>\n") and text.endswith("\n</answer>")
    return borders and "\n</think>\n<answer>\n" in text


def has_box(text: str) -> bool:
    r"""Return True if a text has a \boxed{} that closes and is not empty; braces may nest."""
    opened: list[int | None] = []  # for each open brace, where the content of its box begins
    for brace in BRACE.finditer(text):
        if brace[0] in ("{", "\\boxed{"):
            opened.append(brace.end() if len(brace[0]) > 1 else None)
        elif brace[0] == "}" and opened:
            start = opened.pop()
            if start is not None and text[start : brace.start()].strip("{} \t\n"):
                return True
    return False


def is_well_formed(text: str, profile: Profile, empty: bool) -> bool:
    """Return True if a text has the layout of a profile; `empty` allows empty thinking."""
    parts = split(text)
    if parts is None or not (parts[0] or empty):
        return False
    match profile:
        case "think":
            return bool(parts[1])
        case "think_answer":
            return is_answer(parts[1]) and not any(tag in parts[0] for tag in TAGS)
        case "think_answer_lines":
            return is_in_lines(text) and is_well_formed(text, "think_answer", empty)
        case "boxed":
            return has_box(parts[1])
    raise ValueError(f"no layout {profile!r}")


@r1trl.describe(full_score=1.0)
def think_format(
    prompts: list[str],
    completions: list[str],
    completion_ids: list[list[int]],
    *,
    profile: Profile = "think_answer",
    empty: bool = False,
    **columns: Any,
) -> list[float]:
    r"""Return 1 for each completion that has exactly the layout of `profile`, else 0.

    R = 1[well formed] (DeepSeek-R1, arXiv 2501.12948, section 2.2). `think` is
    `<think>…</think>` and then text; `think_answer` is `<think>…</think>` and
    `<answer>…</answer>`, nothing else; `boxed` is `<think>…</think>` and then text with a \boxed{}
    that closes and is not empty.
    Each tag occurs once, in order; a `<think>` that ends the prompt counts as the completion's;
    white space around the parts is ignored. `think_answer_lines` is `think_answer` with each tag
    alone on its line and no white space around the whole: the layout of Open-R1's format reward,
    which however allows text after it. `empty` allows empty thinking.
    """
    texts = map(r1trl.with_prefill, prompts, completions)
    return [float(is_well_formed(text, profile, empty)) for text in texts]


@r1trl.describe(full_score=1.0)
def tag_count(
    prompts: list[str], completions: list[str], completion_ids: list[list[int]], **columns: Any
) -> list[float]:
    """Return a quarter for each of the four tags that occurs exactly once.

    R = 0.25 · Σ 1[count(tag) = 1] over <think>, </think>, <answer> and </answer> (Open-R1's
    `tag_count`, without the line breaks that it requires around them).
    """
    texts = map(r1trl.with_prefill, prompts, completions)
    return [0.25 * sum(text.count(tag) == 1 for tag in TAGS) for text in texts]
