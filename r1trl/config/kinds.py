"""A stage of each kind: its config class, with the kind's own keys; several models in one stage."""

import dataclasses
import functools
import typing
from collections.abc import Hashable, Iterable, Mapping
from typing import Any, cast

from r1trl.config.kind_problems import kind_problems
from r1trl.config.schema import REQUIRED, SourceConfig, StageConfig
from r1trl.config.stage_parts import EndpointsConfig, number
from r1trl.errors import ConfigError
from r1trl.kind import Kind
from r1trl.plugins.loading import Plugins, load
from r1trl.types import Model


def load_plugins(extra: Iterable[str] = (), block: Iterable[str] = ()) -> Plugins:
    """Load plugins as `loading.load` does, and check the kinds that they offer.

    Raises ConfigError with everything that is wrong.
    """
    plugins = load(extra, block)
    offers = plugins.offers["kind"].values()
    problems = [problem for offer in offers for problem in kind_problems(offer)]
    if problems:
        raise ConfigError(problems)
    return plugins


def stage_class(kind: Kind) -> type[StageConfig]:
    """Return StageConfig with the fields of the kind's settings added; their keys are flat."""
    return _stage_class(cast(Hashable, kind.settings))


@functools.cache
def _stage_class(settings: Any) -> type[StageConfig]:
    hints = typing.get_type_hints(settings)
    added = [(f.name, hints[f.name], _with_default(f)) for f in dataclasses.fields(settings)]
    class_ = dataclasses.make_dataclass(f"Stage{settings.__name__}", added, bases=(StageConfig,))
    return cast(type[StageConfig], class_)


def _with_default(field: "dataclasses.Field[Any]") -> Any:
    """Return a field like this one; one without a default gets '???', which must be given."""
    if field.default_factory is not dataclasses.MISSING:
        return dataclasses.field(default_factory=field.default_factory, metadata=field.metadata)
    default = REQUIRED if field.default is dataclasses.MISSING else field.default
    return dataclasses.field(default=default, metadata=field.metadata)


def describe_settings(kind: Kind) -> list[str]:
    """Return the settings of a kind as lines: name, type, and default if there is one."""
    hints = typing.get_type_hints(kind.settings)
    lines = []
    for field in dataclasses.fields(kind.settings):
        hint = hints[field.name]
        name = getattr(hint, "__name__", "") if not typing.get_args(hint) else ""
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        shown = "" if default is dataclasses.MISSING else f" = {default!r}"
        lines.append(f"{field.name}: {name or str(hint).replace('typing.', '')}{shown}")
    return lines


@dataclasses.dataclass
class EvaluatedModel:
    """One of a stage's models, and the prompt that it was trained to read."""

    path: Model = Model(REQUIRED)  # noqa: RUF009 - a NewType is its value
    template: str | None = None
    prefill: str = ""
    system: str | None = None
    chat_template_kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)
    samplers: dict[str, Any] = dataclasses.field(default_factory=dict)  # in place of the stage's
    endpoints: EndpointsConfig | None = None
    max_position_embeddings: int | None = number(None, at_least=1)


def models_of(stage: StageConfig) -> Mapping[str, EvaluatedModel]:
    """Return a stage's models by name; empty if its kind has one model, `stage.model`.

    A kind with several has the setting `models: dict[str, EvaluatedModel]`.
    """
    models: Mapping[str, EvaluatedModel] = getattr(stage, "models", {})
    return models


def with_model(stage: StageConfig, model: EvaluatedModel) -> StageConfig:
    """Return a stage's settings for one of its models.

    The template and the prefill are the model's own; of the others those that it sets.
    """
    return dataclasses.replace(
        stage,
        model=model.path,
        template=model.template,
        prefill=model.prefill,
        system=model.system or stage.system,
        chat_template_kwargs=model.chat_template_kwargs or stage.chat_template_kwargs,
        samplers=model.samplers or stage.samplers,
        endpoints=model.endpoints or stage.endpoints,
        max_position_embeddings=model.max_position_embeddings or stage.max_position_embeddings,
    )


def reads_benchmarks(kind: Kind, stage: StageConfig) -> bool:
    """Return True if a stage is run on benchmarks, or its model answers them while it trains."""
    return "benchmarks" in kind.needs or stage.evaluate.every is not None


def benchmarks_read(kind: Kind, stage: StageConfig) -> dict[str, SourceConfig]:
    """Return those of a stage's benchmarks that are read; in training it may name some."""
    named = [] if "benchmarks" in kind.needs else stage.evaluate.benchmarks
    return {name: stage.benchmarks[name] for name in named or stage.benchmarks}


def scores_held_out_rows_alone(kind: Kind) -> bool:
    """Return True if the rewards of a stage are for its evaluations, and it trains without."""
    return kind.trl_config is not None and "rewards" not in kind.needs


def loading_options(stage: StageConfig) -> dict[str, Any]:
    """Return what a stage says of how its model is loaded, for transformers' `from_pretrained`."""
    names = ("attn_implementation", "max_position_embeddings")
    return {name: getattr(stage, name) for name in names if getattr(stage, name) is not None}
