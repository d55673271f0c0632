"""Filters by the length of a text in tokens."""

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from r1trl_curation.columns import Verdicts, values

if TYPE_CHECKING:
    from datasets import Dataset

AT_ONCE = 1000


def token_length(
    rows: "Dataset",
    *,
    least: int | None = None,
    most: int | None = None,
    tokenizer: str | None = None,
    column: str = "completion",
) -> Verdicts:
    """Keep texts of `least` to `most` tokens.

    The lengths are those that sampling has counted, in the column `completion_tokens`; with a
    `tokenizer`, a model folder or Hub id, the texts in `column` are counted.
    """
    if least is None and most is None:
        raise ValueError("token_length needs a bound: least or most")
    if tokenizer is None and column != "completion":
        raise ValueError(f"tokenizer: must be given to count the tokens of '{column}'")
    lengths = (
        values(rows, "completion_tokens")
        if tokenizer is None
        else _counted(rows, column, tokenizer)
    )
    return [_reason(length, least, most) for length in lengths]


def _reason(length: int, least: int | None, most: int | None) -> str | None:
    if least is not None and length < least:
        return f"fewer than {least} tokens"
    return f"more than {most} tokens" if most is not None and length > most else None


def _counted(rows: "Dataset", column: str, tokenizer: str) -> Iterator[int]:
    from transformers import AutoTokenizer

    made = AutoTokenizer.from_pretrained(tokenizer)
    texts = values(rows, column)
    while some := list(islice(texts, AT_ONCE)):
        ids = made(some, add_special_tokens=False, return_attention_mask=False)["input_ids"]
        yield from map(len, ids)
