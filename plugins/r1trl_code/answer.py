"""Extraction of the program from a completion: the last Python block after the thinking."""

import re
import textwrap

import r1trl

FENCE = re.compile(r"\s*(`{3,})\s*([^`\s]*)[^`]*")
PYTHON = ("", "python", "python3", "py")


def find_program(completion: str) -> str | None:
    """Return the last closed block, fenced as Python or untagged, after the last `</think>`.

    Returns None if there is none, or if the thinking has not ended; text outside of fences is never
    a program.
    """
    program: str | None = None
    opening: re.Match[str] | None = None
    lines: list[str] = []
    for line in (r1trl.final_part(completion) or "").split("\n"):
        fence = FENCE.fullmatch(line)
        if opening is None:
            opening, lines = fence, []
        elif fence and fence[1].startswith(opening[1]) and not line.strip().strip("`"):
            if opening[2].lower() in PYTHON:
                program = textwrap.dedent("\n".join(lines))
            opening = None
        else:
            lines.append(line)
    return program
