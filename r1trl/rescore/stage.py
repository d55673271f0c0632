"""The rollouts of a stage's folder, with the columns that rewards got when they were generated."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from r1trl.config.kinds import models_of, stage_class, with_model
from r1trl.config.parse import Renaming, parse, rename_keys
from r1trl.config.schema import StageConfig
from r1trl.data.columns import read_columns
from r1trl.data.prompts import render_for
from r1trl.errors import ConfigError, StageError
from r1trl.files.tables import OWN, dataset_of
from r1trl.models.tokenizer import load_tokenizer
from r1trl.plugins.loading import Plugins
from r1trl.rescore.file import text_of
from r1trl.rescore.rollouts import Columns, MissingTokenIds, Rollouts, read_table
from r1trl.stage.files import StageSpec, read_spec

ROLLOUTS = "rollouts.parquet"


def saved_spec(folder: Path) -> StageSpec:
    """Return stage.yaml of a folder with rollouts.

    Raises ConfigError if the folder has none.
    """
    rows, hint = folder / ROLLOUTS, ""
    inside = sorted(str(path.parent) for path in folder.glob(f"stages/*/{ROLLOUTS}"))
    if rows.exists():
        hint = f"; to score its rows by rewards of your own, give the file {rows}"
    elif inside:
        hint = f"; rescore one of its stages: {', '.join(inside)}"
    try:
        spec = read_spec(folder)
    except ConfigError as error:
        raise ConfigError([f"{error}{hint}"]) from error
    if spec is None or not rows.exists():
        raise ConfigError([f"{folder}: has no {ROLLOUTS} and stage.yaml of a finished stage{hint}"])
    return spec


def stage_rollouts(folder: Path, spec: StageSpec, plugins: Plugins) -> Rollouts:
    """Return a stage's rollouts, in one part for each of its models."""
    class_ = stage_class(plugins.kind(spec.kind))
    settings = rename_keys(class_, spec.settings, "", Renaming())
    stage, problems = parse(class_, settings, "settings.")
    if problems:
        raise ConfigError(problems)
    path, parts, notes = folder / ROLLOUTS, [], list[str]()
    columns = read_columns(path)
    for indices, own in _by_model(stage, columns):
        rows = {name: [values[i] for i in indices] for name, values in columns.items()}
        parts.append((indices, _as_generated(rows, own, notes)))
    return Rollouts(read_table(path), parts, str(path), list(dict.fromkeys(notes)))


def _by_model(stage: StageConfig, columns: Columns) -> Iterator[tuple[Sequence[int], StageConfig]]:
    """Yield the row numbers of each model with the settings that it generated with."""
    if not models_of(stage):
        yield range(len(columns["completion"])), stage
    for name, model in models_of(stage).items():
        indices = [i for i, other in enumerate(columns["model"]) if other == name]
        yield indices, with_model(stage, model)


def _as_generated(rows: Columns, stage: StageConfig, notes: list[str]) -> Columns:
    """Return the columns of one model's rollouts as rewards got them; add to the notes."""
    from datasets import disable_progress_bars

    disable_progress_bars()
    prefill = stage.prefill
    try:
        tokenizer: Any = _tokenizer(stage)
    except StageError as error:
        tokenizer, reason = None, str(error)
        notes.append(reason if stage.template else f"{reason}; prompts are without a chat template")
    texts = [text.removeprefix(prefill) for text in rows["completion"]]
    given = _with_own_columns(rows)
    own = {**given, "completion": texts}
    if tokenizer is None and not stage.template:
        questions = [text_of(prompt) or "" for prompt in rows["prompt"]]
        own = {"question": questions, **own, "prompt": [q + prefill for q in questions]}
        return {**own, "completion_ids": [MissingTokenIds(reason)] * len(texts)}
    rendered = render_for(stage, dataset_of(given), tokenizer)
    names = {"prompt", "question", "conversation"} & set(rendered.column_names)
    own |= {name: rendered[name][:] for name in names}
    if tokenizer is None:
        return {**own, "completion_ids": [MissingTokenIds(reason)] * len(texts)}
    ids = tokenizer(texts, add_special_tokens=False)["input_ids"]
    end = [tokenizer.eos_token_id]
    pairs = zip(ids, rows["finished"], strict=True)
    return {**own, "completion_ids": [each + (end if finished else []) for each, finished in pairs]}


def _with_own_columns(rollouts: Columns) -> Columns:
    """Return the columns of rollouts with those of the rows' own by the names that they had."""
    renamed = {n for n in rollouts if n.startswith(OWN) and n.removeprefix(OWN) in rollouts}
    renamed -= {f"{OWN}source"}  # so it was called before
    own = {name.removeprefix(OWN): rollouts[name] for name in renamed}
    return {n: v for n, v in rollouts.items() if n not in renamed} | own


def _tokenizer(stage: StageConfig) -> Any:
    """Return the tokenizer that the rollouts were generated with."""
    try:
        return load_tokenizer(str(stage.model), chat=not stage.template)
    except (OSError, ValueError, StageError) as error:
        hint = "where the run was started, or with the whole folder of the run"
        raise StageError(f"the tokenizer of '{stage.model}' is not there (it is {hint})") from error
