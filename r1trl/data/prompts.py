"""Prompts as the model reads them: a raw template, or the tokenizer's chat template."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from r1trl.data.sources import fill
from r1trl.errors import StageError, suggest

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

NO_TEMPLATE = "the tokenizer has no chat template; give the stage a template=…"


def render(
    rows: "Dataset",
    tokenizer: "PreTrainedTokenizerBase",
    template: str | None,
    prefill: str,
    system: str | None = None,
) -> "Dataset":
    """Return rows with the column `prompt` (text or messages) as the text that the model reads.

    The plain question is in the column `question`. `template` is a raw prompt with `{{ prompt }}`;
    None: the tokenizer's chat template. `prefill` is the beginning of every completion, `system`
    the system prompt of rows that have none. Raises StageError if there is no template at all.
    """
    if not template and not tokenizer.chat_template:
        raise StageError(NO_TEMPLATE)
    prefix = "" if template else _automatic_prefix(tokenizer)

    def rendered(row: dict[str, Any]) -> dict[str, Any]:
        prompt = row["prompt"]
        question = prompt if isinstance(prompt, str) else prompt[-1]["content"]
        if template:
            text = fill(template, {**row, "prompt": question})
        else:
            messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
            text = tokenizer.apply_chat_template(
                with_system(messages, system), tokenize=False, add_generation_prompt=True
            ).removeprefix(prefix)
        return {"question": row.get("question") or question, "prompt": text + prefill}

    return rows.map(rendered)


def with_system(messages: list[dict[str, Any]], system: str | None) -> list[dict[str, Any]]:
    """Return messages with a system prompt before them, unless they have one or it is None."""
    if system is None or messages[0]["role"] == "system":
        return messages
    return [{"role": "system", "content": system}, *messages]


def _automatic_prefix(tokenizer: "PreTrainedTokenizerBase") -> str:
    """Return the text that the tokenizer puts before every text, so that it is not put twice."""
    return str(tokenizer.decode(tokenizer("")["input_ids"]))


def need_columns(rows: "Dataset", columns: Iterable[str], key: str) -> None:
    """Raise StageError if the rows lack one of the columns; `key` is that of the data."""
    for column in columns:
        if column not in rows.column_names:
            there = ", ".join(rows.column_names)
            raise StageError(
                f"{key}: the rows have no column '{column}'"
                f"{suggest(column, rows.column_names)}; they have: {there}; the source's columns "
                f"say which is meant: columns: {{{column}: …}}"
            )
