"""The prompts of rows as the model reads them, and the answers that continue them."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from r1trl.chat.messages import with_system, without_nulls
from r1trl.chat.thinking import RowError, continuation
from r1trl.config.schema import StageConfig
from r1trl.data.row_writer import RowWriter
from r1trl.errors import StageError, suggest

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

RESPONSES = ("completion", "chosen", "rejected")


def render(
    rows: "Dataset",
    tokenizer: "PreTrainedTokenizerBase",
    template: str | None,
    prefill: str,
    system: str | None = None,
    variables: Mapping[str, Any] | None = None,
    *,
    responses: bool = False,
) -> "Dataset":
    """Return rows with the column `prompt` (text or messages) as the text that the model reads.

    The plain question is in the column `question`; the messages of a prompt, with the system prompt
    that was added, are in `conversation`. `prefill` is the beginning of every completion, without a
    `<think>` that the prompt has opened; the other arguments are those of `RowWriter`. With
    `responses` the columns in RESPONSES become texts that continue the prompt. Raises StageError
    with the number of a row that cannot be written.
    """
    writer = RowWriter(tokenizer, template, system, variables or {})

    def rendered(row: dict[str, Any], index: int) -> dict[str, Any]:
        with row_named(row, index):
            question, text = writer.prompt(row)
            written: dict[str, Any] = {"question": row.get("question") or question}
            if not isinstance(row["prompt"], str):
                system = None if template else row.get("system") or writer.system
                written["conversation"] = with_system(without_nulls(row["prompt"]), system)
            for name in RESPONSES if responses else ():
                if row.get(name) is not None:
                    written[name] = writer.response(row, text, row[name])
        return {**written, "prompt": text + continuation(text, prefill, finished=False)}

    return rows.map(rendered, with_indices=True)


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


def render_for(
    stage: StageConfig,
    rows: "Dataset",
    tokenizer: "PreTrainedTokenizerBase",
    *,
    answered: bool = False,
) -> "Dataset":
    """Return rows as `render` does, by the settings of a stage.

    `answered` rows have their responses, which continue the prompt; others get the prefill.
    """
    return render(
        rows,
        tokenizer,
        stage.template,
        "" if answered else stage.prefill,
        stage.system,
        stage.chat_template_kwargs,
        responses=answered,
    )


@contextmanager
def row_named(row: Mapping[str, Any], index: int) -> Iterator[None]:
    """Turn RowError into a StageError that names the row, whose index counts from 0."""
    try:
        yield
    except RowError as error:
        source = f" of the source '{row['source']}'" if row.get("source") else ""
        raise StageError(f"row {index + 1}{source} cannot be written: {error}") from error
