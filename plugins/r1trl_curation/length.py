"""A filter by the length of a text in tokens."""

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from r1trl_curation.columns import DropReasons, values

if TYPE_CHECKING:
    from datasets import Dataset

BATCH_SIZE = 1000


def token_length(
    rows: "Dataset",
    *,
    min_tokens: int | None = None,
    max_tokens: int | None = None,
    tokenizer: str | None = None,
    column: str = "completion",
) -> DropReasons:
    """Keep texts of `min_tokens` to `max_tokens` tokens.

    Without a `tokenizer` the lengths are read from the column `completion_tokens`, which sampling
    writes; with one, a model folder or Hub id, the texts in `column` are tokenized. Raises
    ValueError if neither bound is given, or if another column is given without a tokenizer.
    """
    if min_tokens is None and max_tokens is None:
        raise ValueError("token_length needs a bound: min_tokens or max_tokens")
    if tokenizer is None and column != "completion":
        raise ValueError(f"tokenizer: must be given to count the tokens of '{column}'")
    lengths = (
        values(rows, "completion_tokens")
        if tokenizer is None
        else _token_counts(rows, column, tokenizer)
    )
    return [_reason(length, min_tokens, max_tokens) for length in lengths]


def _reason(length: int, min_tokens: int | None, max_tokens: int | None) -> str | None:
    if min_tokens is not None and length < min_tokens:
        return f"fewer than {min_tokens} tokens"
    too_long = max_tokens is not None and length > max_tokens
    return f"more than {max_tokens} tokens" if too_long else None


def _token_counts(rows: "Dataset", column: str, model: str) -> Iterator[int]:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    texts = values(rows, column)
    while batch := list(islice(texts, BATCH_SIZE)):
        ids = tokenizer(batch, add_special_tokens=False, return_attention_mask=False)["input_ids"]
        yield from map(len, ids)
