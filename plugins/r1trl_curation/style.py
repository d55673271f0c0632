"""Filters by how a text is written: markdown clutter, letters of unexpected scripts."""

import re
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING

import r1trl
from r1trl_curation.columns import DropReasons, drop_reasons

if TYPE_CHECKING:
    from datasets import Dataset

MARKDOWN = re.compile(
    r"\s*(?:#{1,6}\s"  # a heading
    r"|[-*+•]\s|\d{1,3}[.)]\s"  # a list
    r"|\||>\s"  # a table, a quotation
    r"|(?:[-*_]\s?){3,}$"  # a rule
    r"|\*\*[^*]+\*\*:?$)"  # a line in bold type
)
SCRIPTS = ("latin", "cjk", "greek")


@r1trl.describe(aliases={"lines": "min_lines"})
def no_markdown(
    rows: "Dataset", *, column: str = "completion", max_share: float = 0.5, min_lines: int = 6
) -> DropReasons:
    """Drop texts in which more than the share `max_share` of the lines is markdown clutter.

    These are headings, list items, table rows, quotations, rules and lines in bold type. Empty
    lines do not count, and a text of fewer than `min_lines` lines is kept. DeepSeek-R1's cold start
    keeps markdown out of the thinking (arXiv 2501.12948v2, section B.3.2).
    """

    def reason(text: str) -> str | None:
        lines = [line for line in text.splitlines() if line.strip()]
        cluttered = sum(bool(MARKDOWN.match(line)) for line in lines)
        if len(lines) < min_lines or cluttered <= max_share * len(lines):
            return None
        return f"more than {max_share:g} of its lines are markdown"

    return drop_reasons(rows, column, reason)


def allowed_scripts(
    rows: "Dataset",
    *,
    column: str = "completion",
    allowed: list[str] = [*SCRIPTS],  # noqa: B006 - shown to users, never changed
    max_share: float = 0.0,
) -> DropReasons:
    """Drop texts if more than the share `max_share` of the letters is not of `allowed` scripts.

    Scripts have the names that Unicode gives their letters: latin, cjk, greek, cyrillic, arabic,
    hangul, hiragana, … Greek is allowed by default because of formulas, whose letters count as
    latin otherwise.
    """
    allowed_names = {script.lower() for script in allowed}

    def reason(text: str) -> str | None:
        if text.isascii() and "latin" in allowed_names:
            return None
        counts = Counter(script_of(letter) for letter in text if letter.isalpha())
        others = sorted(script for script in counts if script not in allowed_names)
        share = sum(counts[script] for script in others) / max(1, counts.total())
        return f"letters of other scripts: {', '.join(others)}" if share > max_share else None

    return drop_reasons(rows, column, reason)


def script_of(letter: str) -> str:
    """Return a letter's script, the first word of its Unicode name; latin for those of formulas."""
    first = unicodedata.name(letter, "unknown").split()[0].split("-")[0].lower()
    marks = ("mathematical", "feminine", "masculine", "modifier", "double", "script", "fullwidth")
    return "latin" if first in marks else first
