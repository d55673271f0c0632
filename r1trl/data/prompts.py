"""Prompts as the model reads them: a raw template, or the tokenizer's chat template."""

from typing import TYPE_CHECKING, Any

from r1trl.data.sources import fill
from r1trl.errors import StageError, suggest

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase


def render(
    rows: "Dataset",
    tokenizer: "PreTrainedTokenizerBase",
    template: str | None,
    prefill: str,
    system: str | None = None,
) -> "Dataset":
    """Turn the column `prompt` (text or messages) into the text that the model reads.

    The plain question stays in the column `question`. `template` is a raw prompt with
    `{{ prompt }}`; None means the tokenizer's chat template. `prefill` opens the completion, and
    `system` is the system prompt of rows that have none.
    """
    if not template and not tokenizer.chat_template:
        raise StageError("the tokenizer has no chat template; give the stage a template=…")
    prefix = "" if template else _automatic_prefix(tokenizer)

    def rendered(row: dict[str, Any]) -> dict[str, Any]:
        prompt = row["prompt"]
        question = prompt if isinstance(prompt, str) else prompt[-1]["content"]
        if template:
            text = fill(template, {**row, "prompt": question})
        else:
            said = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
            messages = with_system(said, system)
            text = tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True
            ).removeprefix(prefix)
        return {"question": row.get("question") or question, "prompt": text + prefill}

    return rows.map(rendered)


def with_system(messages: list[dict[str, Any]], system: str | None) -> list[dict[str, Any]]:
    """Put a system prompt before messages that have none."""
    if system is None or messages[0]["role"] == "system":
        return messages
    return [{"role": "system", "content": system}, *messages]


def _automatic_prefix(tokenizer: "PreTrainedTokenizerBase") -> str:
    """Return what the tokenizer puts before every text by itself, so that it is not put twice."""
    return str(tokenizer.decode(tokenizer("")["input_ids"]))


def need_columns(rows: "Dataset", columns: list[str], where: str) -> None:
    """Raise StageError where the rows lack one of the columns."""
    for column in columns:
        if column not in rows.column_names:
            there = ", ".join(rows.column_names)
            raise StageError(
                f"{where}: the rows have no column '{column}'"
                f"{suggest(column, rows.column_names)}; they have: {there}"
            )
