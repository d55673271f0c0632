"""Filters by how a text is written: markdown clutter, scripts that do not belong there."""

import re
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING

from r1trl_curation.columns import Verdicts, verdicts

if TYPE_CHECKING:
    from datasets import Dataset

CLUTTER = re.compile(
    r"\s*(?:#{1,6}\s"  # a heading
    r"|[-*+•]\s|\d{1,3}[.)]\s"  # a list
    r"|\||>\s"  # a table, a quotation
    r"|(?:[-*_]\s?){3,}$"  # a rule
    r"|\*\*[^*]+\*\*:?$)"  # a line in bold type
)
SCRIPTS = ("latin", "cjk", "greek")


def tidy(
    rows: "Dataset", *, column: str = "completion", most: float = 0.5, lines: int = 6
) -> Verdicts:
    """Drop texts more than the share `most` of whose lines are markdown clutter.

    That is headings, list items, table rows, quotations, rules and lines in bold type. Empty lines
    do not count, and a text of fewer than `lines` lines stays. DeepSeek-R1's cold start keeps
    markdown out of the thinking (arXiv 2501.12948v2, section B.3.2).
    """

    def reason(text: str) -> str | None:
        said = [line for line in text.splitlines() if line.strip()]
        cluttered = sum(bool(CLUTTER.match(line)) for line in said)
        if len(said) < lines or cluttered <= most * len(said):
            return None
        return f"more than {most:g} of its lines are markdown"

    return verdicts(rows, column, reason)


def scripts(
    rows: "Dataset",
    *,
    column: str = "completion",
    allowed: list[str] = [*SCRIPTS],  # noqa: B006 - shown to users, never changed
    most: float = 0.0,
) -> Verdicts:
    """Drop texts more than the share `most` of whose letters are of scripts that are not `allowed`.

    Scripts are named as Unicode names letters: latin, cjk, greek, cyrillic, arabic, hangul,
    hiragana, … Greek letters and letters of formulas are at home in all mathematics.
    """
    known = {script.lower() for script in allowed}

    def reason(text: str) -> str | None:
        if text.isascii() and "latin" in known:
            return None
        found = Counter(script_of(letter) for letter in text if letter.isalpha())
        strange = sorted(script for script in found if script not in known)
        share = sum(found[script] for script in strange) / max(1, found.total())
        return f"letters of other scripts: {', '.join(strange)}" if share > most else None

    return verdicts(rows, column, reason)


def script_of(letter: str) -> str:
    """Return the script of a letter, the first word of its Unicode name; of formulas latin."""
    first = unicodedata.name(letter, "unknown").split()[0].split("-")[0].lower()
    marks = ("mathematical", "feminine", "masculine", "modifier", "double", "script", "fullwidth")
    return "latin" if first in marks else first
