"""What can be wrong with how a stage generates completions: samplers, servers, prompts, data."""

from collections.abc import Iterator, Mapping
from typing import Any

from r1trl.config.models import models_of
from r1trl.config.schema import EndpointsConfig, StageConfig
from r1trl.errors import unknown
from r1trl.plan.choices import active, check_offers
from r1trl.plugins.loading import Plugins
from r1trl.types import RewardName

TRAINING_METHODS = ("choose", "observe", "admit")
GENERATION_METHODS = ("generate",)


def check_samplers(stage: StageConfig, key: str, plugins: Plugins) -> list[str]:
    """Check the samplers of a stage and of its models; return the problems."""
    problems = []
    chosen = {f"{key}.samplers": stage.samplers}
    chosen |= {f"{key}.models.{n}.samplers": m.samplers for n, m in models_of(stage).items()}
    for at, samplers in chosen.items():
        problems += check_offers(plugins, "sampler", samplers, at)
        problems += _methods(stage.kind, samplers, at, plugins)
        problems += _rewards(stage, samplers, at, plugins)
    return problems


def _methods(kind: str, samplers: Mapping[str, Any], key: str, plugins: Plugins) -> Iterator[str]:
    """Yield the samplers that have no method that a stage of this kind calls."""
    draws = {n: offer.target.draws == "rows" for n, offer in plugins.offers["kind"].items()}
    wanted = GENERATION_METHODS if draws[kind] else TRAINING_METHODS
    for name in active(samplers):
        offer = plugins.offers["sampler"].get(name)
        if offer and not any(hasattr(offer.target, method) for method in wanted):
            others = [
                n
                for n, other in plugins.offers["kind"].items()
                if draws[n] != draws[kind] and "samplers" in other.target.takes
            ]
            yield (
                f"{key}.{name}: has no {' or '.join(wanted)}, which is all that a stage of kind "
                f"{kind} calls of a sampler; it serves stages of kind {' or '.join(others)}"
            )


def _rewards(
    stage: StageConfig, samplers: Mapping[str, Any], key: str, plugins: Plugins
) -> Iterator[str]:
    """Yield the samplers that name a reward that the stage does not have."""
    rewards, offers = active(stage.rewards), plugins.offers["sampler"]
    for name, options in active(samplers).items():
        if name not in offers:
            continue
        for option in offers[name].options_of_type(RewardName):
            named = options.get(option, offers[name].options[option].default)
            if isinstance(named, str) and named not in rewards:
                message = unknown("reward of this stage", named, rewards)
                yield f"{key}.{name}.{option}: {message}"


def check_drawing(stage: StageConfig, key: str) -> list[str]:
    """Check servers, sizes, the mixture and the system prompt; return the problems."""
    lines = (*_sizes(stage), *_mixture(stage), *_prompts(stage))
    problems = [f"{key}.{line}" for line in lines]
    chosen = {"endpoints": stage.endpoints}
    chosen |= {f"models.{n}.endpoints": model.endpoints for n, model in models_of(stage).items()}
    for at, endpoints in chosen.items():
        if endpoints:
            problems += [f"{key}.{at}.{line}" for line in _endpoints(endpoints)]
    return problems


def _endpoints(endpoints: EndpointsConfig) -> Iterator[str]:
    if not endpoints.urls:
        yield "urls: must name at least one server, such as http://localhost:8000/v1"
    for url in endpoints.urls:
        if not url.startswith(("http://", "https://")):
            yield f"urls: '{url}' is no address, such as http://localhost:8000/v1"
    for name in ("concurrency", "timeout", "patience"):
        if getattr(endpoints, name) <= 0:
            yield f"{name}: {getattr(endpoints, name)} is not above 0"


def _sizes(stage: StageConfig) -> Iterator[str]:
    sampling = stage.sampling
    for name in ("n", "batch_size", "shard_size"):
        if getattr(sampling, name) < 1:
            yield f"sampling.{name}: {getattr(sampling, name)} is less than 1"
    if sampling.max_n is not None and sampling.stop_after_correct is None:
        yield (
            "sampling.max_n: means nothing without sampling.stop_after_correct, the number of "
            "right answers wanted"
        )
    if sampling.stop_after_correct is not None and (sampling.max_n or 0) <= sampling.n:
        yield (
            f"sampling.max_n: must be given and above sampling.n={sampling.n}, with "
            "stop_after_correct"
        )


def _mixture(stage: StageConfig) -> Iterator[str]:
    """Yield what is wrong with the weights of the sources: all or none, and positive."""
    weights = {name: source.weight for name, source in stage.data.items()}
    given = {name: weight for name, weight in weights.items() if weight is not None}
    for name, weight in given.items():
        if weight <= 0:
            yield f"data.{name}.weight: {weight:g} is not above 0"
    for name in weights if given else ():
        if name not in given:
            yield f"data.{name}.weight: must be given, as other sources have one"
    for name, source in stage.data.items():
        for key in ("take", "sample_rows"):
            if (getattr(source, key) or 1) < 1:
                yield f"data.{name}.{key}: {getattr(source, key)} is less than 1"


def _prompts(stage: StageConfig) -> Iterator[str]:
    named: dict[str, Any] = {"": stage}
    named |= {f"models.{name}.": model for name, model in models_of(stage).items()}
    for key, one in named.items():
        if one.template and one.system:
            yield f"{key}system: a raw template has no system prompt; write it into template"
