"""The prompts of rows as the model reads them, and the answers that continue them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from r1trl.chat.messages import with_system, without_nulls
from r1trl.chat.thinking import RowError, continuation
from r1trl.config.schema import StageConfig
from r1trl.data.row_writer import RowWriter
from r1trl.data.sources import names_of
from r1trl.errors import StageError, errors_named, suggest
from r1trl.files.tables import dataset_of
from r1trl.plugins.loading import Plugins
from r1trl.plugins.offer import offered_name
from r1trl.variants import DrawnVariation, PromptSettings, Variation

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

RESPONSES = ("completion", "chosen", "rejected")
Variations = Variation | DrawnVariation


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
    first = {repr(own): index for index, own in reversed(list(enumerate(each)))}
    writers = dict[str, RowWriter]()
    for key, index in first.items():
        with errors_named(name_of(rows[index], index)) if len(first) > 1 else nullcontext():
            writers[key] = writer_for(tokenizer, each[index])

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
    variation: Variations | None = None,
) -> "Dataset":
    """Return rows as `render` does, by the settings of a stage; with a `variation` in that form.

    `answered` rows have their responses, which continue the prompt; others get the prefill.
    """
    rows, settings = varied_rows(rows, settings_of(stage), variation)
    if answered:
        settings = [replace(own, prefill="") for own in settings]
    return render(rows, tokenizer, settings, responses=answered)


def varied_rows(
    rows: "Dataset", settings: PromptSettings, variation: Variations | None
) -> "tuple[Dataset, list[PromptSettings]]":
    """Return rows in another form, with the settings of each; as they are without a variation."""
    if variation is None:
        return rows, [settings] * len(rows)
    pairs = [variation.of(row, settings) for row in rows.to_list()]
    columns = {name: [row[name] for row, _ in pairs] for name in rows.column_names}
    return dataset_of(columns, rows.features), [own for _, own in pairs]


def variation_of(
    stage: StageConfig, name: str | None, plugins: Plugins, key: str, seed: int
) -> Variations | None:
    """Return the form in which a stage asks its rows; None: as they are.

    That is the one of `name` in its `variants`, or, without a name, for each row the one that it
    has drawn of its source's. `key` and `seed` are the stage's. Raises StageError if a variant
    refuses its options.
    """
    if name is not None:
        return _bound(stage.variants, plugins, f"{key}.variants", seed)[name]
    drawn = {
        source: _bound(entry.variants, plugins, f"{key}.data.{source}.variants", seed)
        for source, entry in stage.data.items()
    }
    return DrawnVariation(drawn) if any(drawn.values()) else None


def _bound(
    variants: Mapping[str, Any], plugins: Plugins, key: str, seed: int
) -> dict[str, Variation]:
    """Return variants with their options filled in, by their names; `key` is theirs."""
    bound = {}
    for name in names_of(variants):
        options, own = dict(variants[name]), f"{key}.{name}"
        offer = plugins.find("variant", offered_name("variant", name, options))
        options.pop("variant", None)  # the offer's name
        with errors_named(own):
            bound[name] = Variation(offer.bind(options), seed, own)
    return bound


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
        raise StageError(f"{name_of(row, index)} cannot be written: {error}") from error


def name_of(row: Mapping[str, Any], index: int) -> str:
    """Return what messages call a row, whose index counts from 0: its number, source and form."""
    source = f" of the source '{row['source']}'" if row.get("source") else ""
    form = f" in the form '{row['variant']}'" if row.get("variant") else ""
    return f"row {index + 1}{source}{form}"
