"""Several models in one stage: each with the prompt that it was trained to read."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from r1trl.config.schema import REQUIRED, EndpointsConfig, StageConfig
from r1trl.types import Model


@dataclass
class EvaluatedModel:
    """One of a stage's models, and the prompt that it was trained to read."""

    path: Model = Model(REQUIRED)  # noqa: RUF009 - a NewType is its value
    template: str | None = None
    prefill: str = ""
    system: str | None = None
    samplers: dict[str, Any] = field(default_factory=dict)  # in place of the stage's
    endpoints: EndpointsConfig | None = None


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
    return replace(
        stage,
        model=model.path,
        template=model.template,
        prefill=model.prefill,
        system=model.system or stage.system,
        samplers=model.samplers or stage.samplers,
        endpoints=model.endpoints or stage.endpoints,
    )
