"""Filters by language: thinking in one language, texts in given languages."""

from typing import Any

from r1trl_language.languages import check_language
from r1trl_language.scripts import NAMES
from r1trl_language.words import counts, detect, main, share, thinking

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

    That language is `language`, an ISO 639-1 code, else the row's `language`, else its question's,
    else the main one of the thinking (DeepSeek-R1 drops mixed chains of thought, arXiv 2501.12948,
    section 2.3.3). Thinking without countable words, such as bare formulas, and thinking whose
    language cannot be told are kept. Raises ValueError on a language that is not known, and if the
    rows lack `column`.
    """
    require_column(rows, column)
    if language is not None:
        check_language("language", language)
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

    Languages are ISO 639-1 codes such as en, zh and fr; `r1trl_language.words` defines how they are
    told. A text without countable words, such as a bare formula, and one that is too short to tell
    one of the languages are kept. Raises ValueError on a language that is not known, on an empty
    list, and if the rows lack `column`.
    """
    if not languages:
        raise ValueError(f"languages: none; possible are: {', '.join(NAMES)}")
    for language in languages:
        check_language("languages", language)
    require_column(rows, column)
    return [
        _reason(str(text), languages, min_share)
        for batch in rows.select_columns([column]).iter(BATCH_SIZE)
        for text in batch[column]
    ]


def require_column(rows: Dataset, column: str) -> None:
    """Raise ValueError, with the columns of the rows, if one is missing."""
    if column not in rows.column_names:
        names = ", ".join(rows.column_names) or "none"
        raise ValueError(f"the rows have no column '{column}'; there are: {names}")


def _reason(text: str, languages: list[str], min_share: float) -> str | None:
    counted = counts(text)
    measured = [share(counted, language) for language in languages]
    kept = any(value is None or value >= min_share for value in measured)
    return None if kept else f"not in {' or '.join(languages)}"


def is_consistent(
    row: dict[str, Any], column: str, language: str | None, min_consistency: float
) -> bool:
    """Return True if at least `min_consistency` of a row's thinking is in its language.

    Raises ValueError on a language in the row that is not known.
    """
    counted = counts(thinking(row.get("prompt") or "", row[column]))
    own = row.get("language") if language is None else language
    question = row.get("question") or ""
    target = detect(question) if own is None else check_language("language", own)
    measured = share(counted, target or main(counted))
    return measured is None or measured >= min_consistency
