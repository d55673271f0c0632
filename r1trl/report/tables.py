"""Tables as text: rows of cells, the first row the head. Cells may hold anything."""

import re
from collections.abc import Sequence

from r1trl.process.texts import printable

# What Markdown or HTML in it would act on; an underscore or a tilde only at the edge of a word.
MARKS = re.compile(r"[\\`*\[\]|<>&#!]|(?<!\w)[_~]|[_~](?!\w)|:(?=//)|(?<=www)\.")


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return a table for a terminal, its columns aligned."""
    rows = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)) for r in rows]
    return "\n".join(line.rstrip() for line in lines)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Return a table as Markdown whose source is aligned too."""
    rows = [[marked_down(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return "\n".join(lines)


def one_line(text: str) -> str:
    """Return a text as one line without control characters."""
    return printable(text).replace("\n", "\\n").replace("\t", " ")


def marked_down(text: str) -> str:
    """Return a text that Markdown shows as it is, in one line."""
    return MARKS.sub(lambda found: f"\\{found[0]}", one_line(text))
