"""What can be wrong with how a stage draws completions: samplers, servers, mixtures, prompts."""

from collections.abc import Iterator, Mapping
from typing import Any

from r1trl.config.schema import EndpointsConfig, StageConfig
from r1trl.errors import unknown
from r1trl.plan.choices import active, check_offers
from r1trl.plugins.loading import Plugins
from r1trl.types import RewardName

TRAINS_ON_ROLLOUTS = ("grpo", "rloo")
DRAWS = ("sample", "evaluate")
IN_TRAINING = ("choose", "observe", "admit")


def check_samplers(stage: StageConfig, where: str, plugins: Plugins) -> list[str]:
    """Check the samplers of a stage and of the models it evaluates; return the problems."""
    found = []
    chosen = {f"{where}.samplers": stage.samplers}
    chosen |= {f"{where}.models.{n}.samplers": m.samplers for n, m in stage.models.items()}
    for key, samplers in chosen.items():
        found += check_offers(plugins, "sampler", samplers, key)
        found += _verbs(stage.kind, samplers, key, plugins)
        found += _rewards(stage, samplers, key, plugins)
    return found


def _verbs(kind: str, samplers: Mapping[str, Any], where: str, plugins: Plugins) -> Iterator[str]:
    """Say which samplers have nothing to do in a stage of this kind."""
    wanted = ("generate",) if kind in DRAWS else IN_TRAINING
    for name in active(samplers):
        offer = plugins.offers["sampler"].get(name)
        if offer and not any(hasattr(offer.what, verb) for verb in wanted):
            kinds = TRAINS_ON_ROLLOUTS if kind in DRAWS else DRAWS
            yield (
                f"{where}.{name}: has no {' or '.join(wanted)}, which is all that a stage of kind "
                f"{kind} asks of a sampler; it serves stages of kind {' or '.join(kinds)}"
            )


def _rewards(
    stage: StageConfig, samplers: Mapping[str, Any], where: str, plugins: Plugins
) -> Iterator[str]:
    """Say which samplers name a reward that the stage does not have."""
    rewards, offers = active(stage.rewards), plugins.offers["sampler"]
    for name, options in active(samplers).items():
        if name not in offers:
            continue
        for option in offers[name].options_of(RewardName):
            named = options.get(option, offers[name].options[option].default)
            if isinstance(named, str) and named not in rewards:
                told = unknown("reward of this stage", named, rewards)
                yield f"{where}.{name}.{option}: {told}"


def check_drawing(stage: StageConfig, where: str) -> list[str]:
    """Check servers, early stopping, the mixture and the system prompt; return the problems."""
    found = [f"{where}.{line}" for line in (*_enough(stage), *_mixture(stage), *_prompts(stage))]
    chosen = {"endpoints": stage.endpoints}
    chosen |= {f"models.{n}.endpoints": model.endpoints for n, model in stage.models.items()}
    for key, endpoints in chosen.items():
        if endpoints:
            found += [f"{where}.{key}.{line}" for line in _endpoints(endpoints)]
    return found


def _endpoints(endpoints: EndpointsConfig) -> Iterator[str]:
    if not endpoints.urls:
        yield "urls: must name at least one server, such as http://localhost:8000/v1"
    for url in endpoints.urls:
        if not url.startswith(("http://", "https://")):
            yield f"urls: '{url}' is no address, such as http://localhost:8000/v1"
    for name in ("concurrency", "seconds", "patience"):
        if getattr(endpoints, name) <= 0:
            yield f"{name}: {getattr(endpoints, name)} is not above 0"


def _enough(stage: StageConfig) -> Iterator[str]:
    sampling, correct = stage.sampling, stage.measures.get("correct")
    for name in ("n", "batch_size", "shard_size"):
        if getattr(sampling, name) < 1:
            yield f"sampling.{name}: {getattr(sampling, name)} is less than 1"
    if sampling.max_n is not None and sampling.enough is None:
        yield "sampling.max_n: means nothing without sampling.enough, the right answers wanted"
    if sampling.enough is None:
        return
    if sampling.max_n is None or sampling.max_n <= sampling.n:
        yield f"sampling.max_n: must be given and above sampling.n={sampling.n}, with enough"
    if correct not in active(stage.rewards):
        yield f"sampling.enough: needs the reward that measures.correct names ({correct})"


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
        if source.stream is not None and not source.path:
            yield f"data.{name}.stream: only a source with a path is streamed"
        for key in ("stream", "limit"):
            if (getattr(source, key) or 1) < 1:
                yield f"data.{name}.{key}: {getattr(source, key)} is less than 1"


def _prompts(stage: StageConfig) -> Iterator[str]:
    named: dict[str, Any] = {"": stage}
    named |= {f"models.{name}.": model for name, model in stage.models.items()}
    for key, one in named.items():
        if one.template and one.system:
            yield f"{key}system: a raw template has no system prompt; write it into template"
