"""The prompts of a run as its models will read them: each stage's rows, rendered for its model."""

import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1trl.arguments.source import defaults
from r1trl.config.kinds import EvaluatedModel, models_of, with_model
from r1trl.config.parse import parse
from r1trl.config.schema import RunConfig, SourceConfig, StageConfig
from r1trl.data.prompts import need_columns, render
from r1trl.data.rows import load_data
from r1trl.errors import errors_named
from r1trl.plan.plan import Plan, PlannedStage
from r1trl.stage.inputs import PREFIX

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class RenderedSource:
    """The rows of one source as one model reads them: a sample, rendered, and all of them.

    `key` is the stage's key; `name` names the source and the model, for messages; `stage` has the
    model's settings. `context` is the model's longest input in tokens, if known. `model_is_trained`
    is True if the model comes from an earlier stage, which may have taught it an answer format.
    `max_tokens` is the most tokens that a completion may have.
    """

    key: str
    name: str
    stage: StageConfig
    tokenizer: Any
    context: int | None
    model_is_trained: bool
    rows: "Dataset"
    all_rows: "Dataset"
    max_tokens: int


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
    for source, entry in planned.spec.settings[group].items():
        if take is not None:
            entry = {**entry, "take": min(entry["take"] or take, take), "filters": {}}
        rows = rows_of_source(plan, planned, {source: entry}, group, loaded)
        if rows is None:
            continue
        picked = rows.shuffle(seed=plan.config.seed).select(range(min(count, len(rows))))
        for name, model in (several or {"": alone}).items():
            tokenizer, context = tokenizer_and_context(root_model(plan.config, model.path))
            merged = with_model(stage, model)
            context = context_given(plan.config, merged) or context
            with errors_named(f"{key}.models.{name}.template" if name else f"{key}.template"):
                rendered = render(picked, tokenizer, merged.template, merged.prefill, merged.system)
            label = f"{source}, read by {name}" if name else source
            trained = model.path.startswith(PREFIX)
            longest = longest_completion(planned)
            yield RenderedSource(
                key, label, merged, tokenizer, context, trained, rendered, rows, longest
            )


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
    identity = json.dumps(source, sort_keys=True, default=str)
    if identity not in loaded:
        config = {name: parse(SourceConfig, entry)[0]}
        key = f"stages.{planned.spec.stage}"
        needed = planned.kind.columns(planned.config)
        given = (plan.plugins, plan.config.seed, key, group, None, needed)
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


@functools.cache
def tokenizer_and_context(model: str) -> tuple[Any, int | None]:
    """Return a model's tokenizer, and its longest input in tokens or None."""
    from transformers import AutoConfig, AutoTokenizer

    context = getattr(AutoConfig.from_pretrained(model), "max_position_embeddings", None)
    return AutoTokenizer.from_pretrained(model), context
