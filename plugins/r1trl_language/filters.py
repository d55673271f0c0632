"""Filters by language: thinking that is not mixed, texts in a language that is wanted."""

from typing import Any

from r1trl_language.reward import consistency
from r1trl_language.words import SCRIPTS, detect, shares, thinking

AT_ONCE = 1000
Dataset = Any  # imported nowhere here: datasets is heavy, and the core reads these annotations


def one_language(
    rows: Dataset,
    *,
    column: str = "completion",
    language: str | None = None,
    least: float = 0.98,
) -> list[str | None]:
    """Keep rows of whose thinking in `column` at least the share `least` is in one language.

    That language is `language`, else the row's `language`, else its question's, else what most of
    the thinking is in (DeepSeek-R1 drops mixed chains of thought, arXiv 2501.12948, section 2.3.3).
    Thinking in which no words can be counted, such as bare formulas, is not mixed and stays.
    """
    need(rows, column)
    wanted = [name for name in (column, "prompt", "language", "question") if name in rows.features]
    return [
        None if is_pure(row, column, language, least) else "thinking in more than one language"
        for batch in rows.select_columns(wanted).iter(AT_ONCE)
        for row in (dict(zip(batch, one, strict=True)) for one in zip(*batch.values(), strict=True))
    ]


def in_language(
    rows: Dataset, *, languages: list[str], column: str = "prompt", least: float = 0.5
) -> list[str | None]:
    """Keep rows of whose text in `column` the share `least` is in one of the `languages`.

    Languages are told by the script of words: en (Latin), zh (ideographs) and other. A text without
    words that can be counted, such as a bare formula, stays. Raises ValueError on others.
    """
    strangers = sorted(set(languages) - set(SCRIPTS))
    if strangers or not languages:
        raise ValueError(f"languages: {strangers or 'none'}; possible are: {', '.join(SCRIPTS)}")
    need(rows, column)
    return [
        _stranger(shares(str(text)), languages, least)
        for batch in rows.select_columns([column]).iter(AT_ONCE)
        for text in batch[column]
    ]


def need(rows: Dataset, column: str) -> None:
    """Raise ValueError with the columns there are where one is missing."""
    if column not in rows.column_names:
        there = ", ".join(rows.column_names) or "none"
        raise ValueError(f"the rows have no column '{column}'; there are: {there}")


def _stranger(found: dict[str, float], languages: list[str], least: float) -> str | None:
    known = not found or max(found[language] for language in languages) >= least
    return None if known else f"not in {' or '.join(languages)}"


def is_pure(row: dict[str, Any], column: str, language: str | None, least: float) -> bool:
    """Tell whether a row's thinking has at least the share `least` of words in its language."""
    prompt, question = row.get("prompt") or "", row.get("question")
    thought = thinking(prompt, row[column])
    target = language or row.get("language") or detect(question or "") or detect(thought)
    share = consistency(thought, target)
    return share is None or share >= least
