"""Filters by language: thinking in one language, texts in given languages."""

from typing import Any

from r1trl_language.reward import consistency
from r1trl_language.words import SCRIPTS, detect, shares, thinking

BATCH_SIZE = 1000
Dataset = Any  # datasets is slow to import, and the core resolves these annotations


def one_language(
    rows: Dataset,
    *,
    column: str = "completion",
    language: str | None = None,
    min_consistency: float = 0.98,
) -> list[str | None]:
    """Keep rows whose thinking in `column` is at least `min_consistency` in one language, 0 to 1.

    That language is `language`, else the row's `language`, else its question's, else the main one
    of the thinking (DeepSeek-R1 drops mixed chains of thought, arXiv 2501.12948, section 2.3.3).
    Thinking without countable words, such as bare formulas, is kept. Raises ValueError if the rows
    lack `column`.
    """
    require_column(rows, column)
    names = [name for name in (column, "prompt", "language", "question") if name in rows.features]
    return [
        None
        if is_consistent(row, column, language, min_consistency)
        else "thinking in more than one language"
        for batch in rows.select_columns(names).iter(BATCH_SIZE)
        for row in (dict(zip(batch, v, strict=True)) for v in zip(*batch.values(), strict=True))
    ]


def in_language(
    rows: Dataset, *, languages: list[str], column: str = "prompt", min_share: float = 0.5
) -> list[str | None]:
    """Keep rows with at least the share `min_share` of `column` in one of the `languages`.

    A language is the script of words: en (Latin), zh (ideographs) and other. A text without
    countable words, such as a bare formula, is kept. Raises ValueError on another language, on an
    empty list, and if the rows lack `column`.
    """
    invalid = sorted(set(languages) - set(SCRIPTS))
    if invalid or not languages:
        raise ValueError(f"languages: {invalid or 'none'}; possible are: {', '.join(SCRIPTS)}")
    require_column(rows, column)
    return [
        _reason(shares(str(text)), languages, min_share)
        for batch in rows.select_columns([column]).iter(BATCH_SIZE)
        for text in batch[column]
    ]


def require_column(rows: Dataset, column: str) -> None:
    """Raise ValueError, with the columns of the rows, if one is missing."""
    if column not in rows.column_names:
        names = ", ".join(rows.column_names) or "none"
        raise ValueError(f"the rows have no column '{column}'; there are: {names}")


def _reason(
    language_shares: dict[str, float], languages: list[str], min_share: float
) -> str | None:
    kept = (
        not language_shares or max(language_shares[language] for language in languages) >= min_share
    )
    return None if kept else f"not in {' or '.join(languages)}"


def is_consistent(
    row: dict[str, Any], column: str, language: str | None, min_consistency: float
) -> bool:
    """Return True if at least `min_consistency` of a row's thinking is in its language."""
    prompt, question = row.get("prompt") or "", row.get("question")
    thought = thinking(prompt, row[column])
    target = language or row.get("language") or detect(question or "") or detect(thought)
    share = consistency(thought, target)
    return share is None or share >= min_consistency
