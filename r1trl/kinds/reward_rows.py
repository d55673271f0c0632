"""The rows of a reward model: texts with their labels, or pairs of texts with their margins."""

import functools
import math
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from r1trl import StageError, Work, scored_text
from r1trl.files.once import made_once
from r1trl.process.terminal import say

if TYPE_CHECKING:
    from datasets import Dataset

Read = Callable[[Any], float]
LABELS = (
    "a label is true or false, or a number from 0 to 1; map others with data.<source>.columns, "
    "such as label: \"{{ 1 if label == 'safe' else 0 }}\""
)
MARGINS = "a margin is a number; a missing one is 0"


def labelled_texts(work: Work) -> "Dataset":
    """Return rows with `completion`, the text that is scored, and `label`, from 0 to 1.

    Raises StageError if a text or a label is none.
    """
    rows = work.rendered(work.rows())
    labels = _numbers(rows, "label", label, LABELS, f"{work.key}.data")
    rows = rows.select_columns(["prompt", "completion"]).add_column("number", labels)
    texts = _scored(work, rows, ["completion"], "number")
    if work.is_main and len(set(labels)) == 1:
        say(f"{work.key}.data: every label is {labels[0]:g}; that is all to learn")
    return texts.rename_column("number", "label")


def pairs(work: Work) -> "Dataset":
    """Return rows with `chosen` and `rejected`, the texts that are compared, and TRL's `margin`.

    Pairs that nothing can be learned from are left out: equal texts, an empty chosen one. Raises
    StageError if none is left, or if a margin is no number. A missing margin is 0.
    """
    rows = work.rendered(work.rows())
    kept, texts = rows.select_columns(["prompt", "chosen", "rejected"]), ["chosen", "rejected"]
    if "margin" not in rows.column_names:
        return _scored(work, kept, texts)
    margins = _numbers(rows, "margin", margin, MARGINS, f"{work.key}.data")
    return _scored(work, kept.add_column("margin", margins), texts, "margin")


def label(value: Any) -> float:
    """Return a label as a number from 0 to 1, and NaN if it is neither that nor true or false."""
    text = str(value).strip().lower()
    number = float(text == "true") if text in ("true", "false") else number_of(text)
    return number if 0 <= number <= 1 else math.nan


def margin(value: Any) -> float:
    """Return a margin as a number, 0 for a missing one, and NaN if it is not finite or none."""
    number = 0.0 if value is None else number_of(value)
    return number if math.isfinite(number) else math.nan


def number_of(value: Any) -> float:
    """Return a value as a number, and NaN if it is none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _numbers(rows: "Dataset", name: str, read: Read, possible: str, key: str) -> list[float]:
    """Return the numbers of a column; raise StageError with the row of the first that is none."""
    values = rows[name][:]
    numbers = list(map(read, values))
    for row, (number, value) in enumerate(zip(numbers, values, strict=True)):
        if math.isnan(number):
            has = f"no {name}" if value is None else f"the {name} {value!r}"
            raise StageError(f"{key}: row {row} (from 0) has {has}; {possible}")
    return numbers


def _scored(work: Work, rows: "Dataset", texts: list[str], *more: str) -> "Dataset":
    """Return rows with what is scored as their texts, without those that teach nothing."""
    part, key = work.stage.text, f"{work.key}.data"

    def scored(row: dict[str, Any], index: int) -> dict[str, Any]:
        values = [row[name] for name in texts]
        for name, value in zip(texts, values, strict=True):
            if not isinstance(value, str):
                kind = type(value).__name__
                raise StageError(
                    f"{key}: row {index} (from 0) has a {kind} as {name}; it is a text"
                )
        read = [scored_text(row["prompt"], value, part) for value in values]
        why = None
        if len(read) == 2:
            empty = scored_text(row["prompt"], "", part)
            why = "have an empty chosen text" if read[0].strip() == empty.strip() else None
            why = "have equal texts" if read[0] == read[1] else why
        return dict(zip(texts, read, strict=True)) | {"why": why}

    made = functools.partial(rows.map, scored, with_indices=True)
    rows = made_once("texts", made, work.folder / "data")
    reasons = list(rows["why"])
    kept = [index for index, why in enumerate(reasons) if why is None]
    if len(kept) < len(rows):
        counts = Counter(why for why in reasons if why)
        said = ", ".join(f"{count} {why}" for why, count in sorted(counts.items()))
        if not kept:
            raise StageError(f"{key}: nothing can be learned from any of {len(rows)} rows: {said}")
        if work.is_main:
            say(f"{key}: of {len(rows)} rows these are left out: {said}")
    return rows.select(kept).select_columns([*texts, *more])
