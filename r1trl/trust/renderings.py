"""What the models of a run will read: each stage's prompts, rendered for its model."""

import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1trl.config.schema import RunConfig
from r1trl.data.prompts import render
from r1trl.data.rows import load_data
from r1trl.plan.plan import Plan, PlannedStage
from r1trl.stage.files import settings_of
from r1trl.stage.inputs import PREFIX

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class RenderedSource:
    """The rows of one source as one model reads them: a sample, rendered, and all of them."""

    where: str
    source: str
    settings: Mapping[str, Any]
    tokenizer: Any
    context: int | None  # tokens that the model can read
    model_is_trained: bool  # the model comes from an earlier stage, which may have taught it a form
    rows: "Dataset"
    all_rows: "Dataset"

    @property
    def max_tokens(self) -> int:
        """Return how many tokens a completion may have."""
        settings = self.settings
        found = settings["args"].get("max_completion_length", settings["sampling"]["max_tokens"])
        return int(found)


def rendered_sources(
    plan: Plan, planned: PlannedStage, count: int, loaded: dict[str, "Dataset"]
) -> Iterator[RenderedSource]:
    """Yield what a stage's models read, `count` rows of each source; `loaded` keeps the sources."""
    settings, name = planned.work.settings, planned.work.stage
    evaluates = planned.work.kind == "evaluate"
    models = settings["models"] if evaluates else {"": {"path": settings["model"]}}
    named = plan.config.stages[name]
    for source, entry in settings["benchmarks" if evaluates else "data"].items():
        rows = rows_of_source(plan, planned, {source: entry}, loaded)
        if rows is None:
            continue
        picked = rows.shuffle(seed=plan.config.seed).select(range(min(count, len(rows))))
        for model, own in models.items():
            start = named.models[model].path if evaluates else str(named.model)
            root = root_model(plan.config, start)
            tokenizer, context = tokenizer_and_context(root)
            merged = settings_of(settings, own)
            rendered = render(
                picked, tokenizer, merged["template"], merged["prefill"], merged["system"]
            )
            where = f"stages.{name}"
            told = f"{source}, read by {model}" if model else source
            model_is_trained = start.startswith(PREFIX)
            yield RenderedSource(
                where, told, merged, tokenizer, context, model_is_trained, rendered, rows
            )


def rows_of_source(
    plan: Plan, planned: PlannedStage, source: Mapping[str, Any], loaded: dict[str, "Dataset"]
) -> "Dataset | None":
    """Load a source's rows; None where an earlier stage is still to make them."""
    path = str(next(iter(source.values())).get("path") or "")
    if path in planned.work.inputs.values() and not Path(path).exists():
        return None
    key = json.dumps(source, sort_keys=True, default=str)
    if key not in loaded:
        where = f"stages.{planned.work.stage}"
        loaded[key] = load_data(source, {}, plan.plugins, plan.config.seed, where)[0]
    return loaded[key]


def root_model(config: RunConfig, model: str) -> str:
    """Return the model that a stage's model was first made from."""
    while model.startswith(PREFIX):
        model = str(config.stages[model.removeprefix(PREFIX)].model)
    return model


@functools.cache
def tokenizer_and_context(model: str) -> tuple[Any, int | None]:
    """Return a model's tokenizer and how many tokens it can read."""
    from transformers import AutoConfig, AutoTokenizer

    context = getattr(AutoConfig.from_pretrained(model), "max_position_embeddings", None)
    return AutoTokenizer.from_pretrained(model), context
