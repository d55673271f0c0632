"""The prompts of rows as the model reads them, and the answers that continue them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from r1trl.chat.messages import with_system, without_nulls
from r1trl.chat.thinking import RowError, continuation
from r1trl.config.schema import StageConfig
from r1trl.data.row_writer import RowWriter
from r1trl.errors import StageError, suggest
from r1trl.variants import PromptSettings

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

RESPONSES = ("completion", "chosen", "rejected")


def render(
    rows: "Dataset",
    tokenizer: "PreTrainedTokenizerBase",
    settings: PromptSettings | Sequence[PromptSettings],
    *,
    responses: bool = False,
) -> "Dataset":
    """Return rows with the column `prompt` (text or messages) as the text that the model reads.

    The plain question is in the column `question`; the messages of a prompt, with the system prompt
    that was added, are in `conversation`. `settings` are those of all rows, or one for each; of
    their prefill a `<think>` is left out that the prompt has opened. With `responses` the columns
    in RESPONSES become texts that continue the prompt. Raises StageError with the number of a row
    that cannot be written.
    """
    of_all = isinstance(settings, PromptSettings)
    each = [settings] if isinstance(settings, PromptSettings) else settings
    writers = {repr(own): writer_for(tokenizer, own) for own in each}

    def rendered(row: dict[str, Any], index: int) -> dict[str, Any]:
        own = each[0 if of_all else index]
        writer = writers[repr(own)]
        with row_named(row, index):
            question, text = writer.prompt(row)
            written: dict[str, Any] = {"question": row.get("question") or question}
            if not isinstance(row["prompt"], str):
                system = None if own.template else row.get("system") or own.system
                written["conversation"] = with_system(without_nulls(row["prompt"]), system)
            for name in RESPONSES if responses else ():
                if row.get(name) is not None:
                    written[name] = writer.response(row, text, row[name])
        return {**written, "prompt": text + continuation(text, own.prefill, finished=False)}

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
    settings = settings_of(stage)
    if answered:
        settings = replace(settings, prefill="")
    return render(rows, tokenizer, settings, responses=answered)


def settings_of(stage: StageConfig) -> PromptSettings:
    """Return the settings by which a stage renders all of its prompts."""
    return PromptSettings(stage.template, stage.system, stage.prefill, stage.chat_template_kwargs)


def writer_for(tokenizer: "PreTrainedTokenizerBase", settings: PromptSettings) -> RowWriter:
    """Return what writes prompts by these settings."""
    system, variables = settings.system, settings.chat_template_kwargs
    return RowWriter(tokenizer, settings.template, system, variables)


@contextmanager
def row_named(row: Mapping[str, Any], index: int) -> Iterator[None]:
    """Turn RowError into a StageError that names the row, whose index counts from 0."""
    try:
        yield
    except RowError as error:
        source = f" of the source '{row['source']}'" if row.get("source") else ""
        raise StageError(f"row {index + 1}{source} cannot be written: {error}") from error
