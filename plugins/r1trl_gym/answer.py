"""Extraction of the answer from a completion."""

import r1trl


def extract_answer(completion: str, source: str) -> str | None:
    """Return the answer after the thinking, or None if there is none."""
    extractors = {"answer_tag": tagged, "boxed": boxed, "last_line": last_line, "whole": whole}
    return extractors[source](r1trl.final_part(completion) or "")


def tagged(text: str) -> str | None:
    """Return the content of the last `<answer>`."""
    before, end, _ = text.rpartition("</answer>")
    _, start, inside = before.rpartition("<answer>")
    return inside.strip() if start and end else None


def boxed(text: str) -> str | None:
    r"""Return the content of the last `\\boxed{}`; braces inside it may nest."""
    _, start, rest = text.rpartition("\\boxed{")
    depth = 1
    for index, sign in enumerate(rest if start else ""):
        depth += (sign == "{") - (sign == "}")
        if depth == 0:
            return rest[:index].strip()
    return None


def last_line(text: str) -> str | None:
    """Return the last line that is not blank."""
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else None


def whole(text: str) -> str | None:
    """Return all the text."""
    return text.strip() or None
