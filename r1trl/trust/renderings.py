"""The prompts of a run as its models will read them: each stage's rows, rendered for its model."""

import functools
import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1trl.arguments.source import defaults
from r1trl.chat.given import with_template
from r1trl.config.kinds import EvaluatedModel, models_of, with_model
from r1trl.config.parse import parse
from r1trl.config.schema import RunConfig, SourceConfig, StageConfig
from r1trl.data.prompts import need_columns, render_for, variation_of
from r1trl.data.rows import load_data
from r1trl.errors import errors_named
from r1trl.models.tokenizer import context_of, load_tokenizer
from r1trl.plan.plan import Plan, PlannedStage
from r1trl.stage.inputs import PREFIX

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class RenderedSource:
    """The rows of one source as one model reads them: a sample, rendered, and all of them.

    `key` is the stage's key; `source` names the source, `reader` the model of several, and `name`
    both, for messages; `stage` has the model's settings. `context` is the model's longest input in
    tokens, if known. `model_is_trained` is True if the model comes from an earlier stage, which may
    have taught it an answer format. `max_tokens` is the most tokens that a completion may have.
    """

    key: str
    source: str
    reader: str
    stage: StageConfig
    tokenizer: Any
    context: int | None
    model_is_trained: bool
    rows: "Dataset"
    all_rows: "Dataset"
    max_tokens: int

    @property
    def name(self) -> str:
        """Return the names of the source and of the model that reads it."""
        return f"{self.source}, read by {self.reader}" if self.reader else self.source


def rendered_sources(
    plan: Plan,
    planned: PlannedStage,
    count: int,
    loaded: dict[str, "Dataset"],
    take: int | None = None,
) -> Iterator[RenderedSource]:
    """Yield every source of a stage for every model, a sample of `count` rows rendered.

    A source that an earlier stage has still to make is left out. `loaded` keeps rows by source.
    With `take` only the first so many rows of a source are read, and none is filtered.
    """
    stage, key = planned.config, f"stages.{planned.spec.stage}"
    several = models_of(stage)
    alone = EvaluatedModel(stage.model or "", stage.template, stage.prefill)  # type: ignore[arg-type]
    group = "benchmarks" if "benchmarks" in planned.kind.needs else "data"
    asked = variation_of(stage, None, plan.plugins, key, planned.spec.own_seed)
    for source, entry in planned.spec.settings[group].items():
        if take is not None:
            entry = {**entry, "take": min(entry["take"] or take, take), "filters": {}}
        rows = rows_of_source(plan, planned, {source: entry}, group, loaded)
        if rows is None:
            continue
        picked = rows.select(_sample(rows, count, plan.config.seed))
        for name, model in (several or {"": alone}).items():
            tokenizer, context = read_by(plan.config, model.path)
            merged = with_model(stage, model)
            context = context_given(plan.config, merged) or context
            with errors_named(f"{key}.models.{name}.template" if name else f"{key}.template"):
                rendered = render_for(merged, picked, tokenizer, variation=asked)
            trained = model.path.startswith(PREFIX)
            longest = longest_completion(planned)
            yield RenderedSource(
                key, source, name, merged, tokenizer, context, trained, rendered, rows, longest
            )


def _sample(rows: "Dataset", count: int, seed: int) -> list[int]:
    """Return the numbers of so many rows at random; the longest prompt's is the last of them."""
    prompts = rows["prompt"][:] if "prompt" in rows.column_names else []
    numbers = random.Random(seed).sample(range(len(rows)), min(count, len(rows)))
    longest = max(range(len(prompts)), key=lambda i: len(str(prompts[i])), default=None)
    return numbers if longest is None or longest in numbers else [*numbers[:-1], longest]


def longest_completion(planned: PlannedStage) -> int:
    """Return the most tokens that a completion of a stage may have."""
    stage, config = planned.config, planned.kind.trl_config
    if planned.kind.draws == "rows" or config is None:
        return stage.sampling.max_tokens
    default = defaults(config).get("max_completion_length")
    return int(stage.args.get("max_completion_length", default) or 0)


def rows_of_source(
    plan: Plan,
    planned: PlannedStage,
    source: Mapping[str, Any],
    group: str,
    loaded: dict[str, "Dataset"],
) -> "Dataset | None":
    """Return the rows of one source of `data` or `benchmarks`, given as in stage.yaml.

    None if an earlier stage has still to make them.
    """
    name, entry = next(iter(source.items()))
    path = str(entry.get("path") or "")
    if path in planned.spec.inputs.values() and not Path(path).exists():
        return None
    drawn_by = planned.spec.own_seed if entry["variants"] else None
    identity = json.dumps([source, drawn_by], sort_keys=True, default=str)
    if identity not in loaded:
        config = {name: parse(SourceConfig, entry)[0]}
        key = f"stages.{planned.spec.stage}"
        needed, own_seed = planned.kind.columns(planned.config), planned.spec.own_seed
        given = (plan.plugins, plan.config.seed, key, group, None, needed, str, own_seed)
        loaded[identity] = load_data(config, {}, *given)[0]
        need_columns(loaded[identity], needed, f"{key}.{group}.{name}")
    return loaded[identity]


def root_model(config: RunConfig, model: str) -> str:
    """Return the model that a stage's model was first made from."""
    while model.startswith(PREFIX):
        model = str(config.stages[model.removeprefix(PREFIX)].model)
    return model


def context_given(config: RunConfig, stage: StageConfig) -> int | None:
    """Return the longest input that a stage, or one that made its model, gives that model."""
    model = str(stage.model)
    while stage.max_position_embeddings is None and model.startswith(PREFIX):
        stage = config.stages[model.removeprefix(PREFIX)]
        model = str(stage.model)
    return stage.max_position_embeddings


def read_by(config: RunConfig, model: str) -> tuple[Any, int | None]:
    """Return the tokenizer of a stage's model, and its longest input in tokens or None."""
    root, template = root_model(config, model), None
    while template is None and model.startswith(PREFIX):
        stage = config.stages[model.removeprefix(PREFIX)]
        template, model = stage.args.get("chat_template_path"), str(stage.model)
    tokenizer, context = tokenizer_and_context(root)
    return with_template(tokenizer, template), context


@functools.cache
def tokenizer_and_context(model: str) -> tuple[Any, int | None]:
    """Return a model's tokenizer, as it is, and its longest input in tokens or None.

    Raises StageError if there is no such model.
    """
    return load_tokenizer(model, chat=False), context_of(model)
