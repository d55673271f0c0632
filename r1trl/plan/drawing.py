"""What can be wrong with how a stage generates completions: samplers, servers, prompts, data."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from r1trl.config.kinds import models_of
from r1trl.config.schema import StageConfig
from r1trl.config.stage_parts import POLICY, EndpointsConfig, SamplingConfig
from r1trl.errors import suggest, unknown
from r1trl.kind import Kind
from r1trl.plan.choices import active, check_offer, check_offers, own_options
from r1trl.plan.sizes import metric_problems, sampling_problems
from r1trl.plugins.loading import Plugins
from r1trl.plugins.offer import offered_name
from r1trl.plugins.values import check_options
from r1trl.types import RewardName
from r1trl.variants import REFERENCE

TRAINING_METHODS = ("choose", "observe", "admit")
GENERATION_METHODS = ("generate",)
NOT_OPENAI = ("top_k", "min_p", "repetition_penalty")
TAKEN = "is what the rows as they are are called; give it another name"  # of a variant
WHOLE = {"top_p": 1.0, "top_k": 0.0, "min_p": 0.0}  # values that leave out no token


def check_samplers(stage: StageConfig, key: str, plugins: Plugins) -> list[str]:
    """Check the samplers of a stage and of its models; return the problems."""
    problems = []
    chosen = {f"{key}.samplers": stage.samplers}
    chosen |= {f"{key}.models.{n}.samplers": m.samplers for n, m in models_of(stage).items()}
    for at, samplers in chosen.items():
        problems += check_offers(plugins, "sampler", samplers, at)
        problems += _methods(stage.kind, samplers, at, plugins)
        problems += _rewards(stage, samplers, at, plugins)
        problems += _sources(stage, samplers, at, plugins)
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
            value = options.get(option, offers[name].options[option].default)
            for named in value if isinstance(value, list) else [value]:
                if isinstance(named, str) and named not in rewards:
                    message = unknown("reward of this stage", named, rewards)
                    yield f"{key}.{name}.{option}: {message}"


def _sources(
    stage: StageConfig, samplers: Mapping[str, Any], key: str, plugins: Plugins
) -> Iterator[str]:
    """Yield the samplers that name a source that the stage does not have."""
    for name, options in active(samplers).items():
        offer = plugins.offers["sampler"].get(name)
        if not (offer and offer.description.source_names) or check_options(offer, options, key):
            continue
        try:
            named = list(offer.description.source_names(**options))
        except Exception as error:  # noqa: BLE001 - whatever a plugin raises is the reason
            yield f"{key}.{name}: its source_names failed: {type(error).__name__}: {error}"
            continue
        for source in named:
            if source not in stage.data:
                yield f"{key}.{name}: {unknown('source of this stage', source, stage.data)}"


def check_variants(variants: Mapping[str, Any], at: str, plugins: Plugins) -> list[str]:
    """Check the variants of a stage or source, whose key is `at`; return the problems."""
    problems = []
    if variants.get(REFERENCE) is not None:
        problems.append(f"{at}.{REFERENCE}: {TAKEN}")
    for name, options in variants.items():
        offered, own = offered_name("variant", name, options), own_options(options, "variant")
        problems += check_offer(plugins, "variant", offered, own, f"{at}.{name}", at)
    return problems


def check_drawing(stage: StageConfig, key: str, templates: Iterable[str]) -> list[str]:
    """Check servers, sizes, the mixture and the prompts; return the problems.

    `templates` are the names of the run's.
    """
    lines = (*sampling_problems(stage.sampling), *_mixture(stage), *_prompts(stage, templates))
    problems = [f"{key}.{line}" for line in lines]
    chosen = {"endpoints": stage.endpoints}
    chosen |= {f"models.{n}.endpoints": model.endpoints for n, model in models_of(stage).items()}
    for at, endpoints in chosen.items():
        if endpoints:
            served = at == "endpoints" and POLICY in stage.serve
            wrong = _endpoints(endpoints, stage.sampling, served=served)
            problems += [f"{key}.{at}.{line}" for line in wrong]
    return problems


def check_evaluation(stage: StageConfig, kind: Kind) -> Iterator[str]:
    """Yield why a stage's model cannot answer held-out rows while it trains, by relative keys."""
    given = stage.evaluate
    if given.every is None or "evaluate" not in kind.takes:
        return
    if not stage.benchmarks:
        yield "evaluate.every: there are no benchmarks to answer, here or in the run's benchmarks"
    for name in given.benchmarks:
        if name not in stage.benchmarks:
            yield f"evaluate.benchmarks: {unknown('benchmark', name, stage.benchmarks)}"
    if stage.args.get("use_vllm"):
        yield (
            "evaluate.every: r1trl's own decoding answers held-out rows, which would take far "
            "longer than vLLM's rollouts; set generation.vllm=false, or evaluate.every=null and "
            "give the run an evaluate stage"
        )
    assert stage.launch
    if stage.args.get("fsdp") or stage.launch.config.get("distributed_type") == "FSDP":
        yield "evaluate.every: FSDP gathers no whole model to draw from; use ZeRO (DeepSpeed)"
    for at, text in metric_problems(given.metrics, stage.rewards):
        yield f"evaluate.{at}: {text}"
    yield from (f"evaluate.{line}" for line in sampling_problems(given.sampling))
    if given.sampling.shard_size != SamplingConfig().shard_size:
        yield "evaluate.sampling.shard_size: reaches nothing: no shards are written in training"


def notes_on_drawing(args: Mapping[str, Any]) -> list[str]:
    """Return what is not wrong with TRL's arguments for drawing, and has to be known."""
    cut = [n for n, whole in WHOLE.items() if float(args.get(n) or whole) != whole]
    if not (args.get("use_vllm") and cut):
        return []
    values = ", ".join(f"args.{name}={args[name]}" for name in cut)
    return [
        f"{values}: vLLM draws from what that leaves of the distribution, and the loss is of the "
        "whole one: a bias that importance ratios do not correct"
    ]


def _endpoints(
    endpoints: EndpointsConfig, sampling: SamplingConfig, *, served: bool
) -> Iterator[str]:
    """Yield what is wrong with servers; `served` are those that r1trl starts."""
    if served and (endpoints.urls or endpoints.model or endpoints.api != "vllm"):
        yield f"serve.{POLICY} says what is served and where; leave out urls, model and api"
    if not endpoints.urls and not served:
        yield "urls: must name at least one server, such as http://localhost:8000/v1"
    for url in endpoints.urls:
        if not url.startswith(("http://", "https://")):
            yield f"urls: '{url}' is no address, such as http://localhost:8000/v1"
    for name in NOT_OPENAI if endpoints.api == "openai" else ():
        value, plain = getattr(sampling, name), getattr(SamplingConfig(), name)
        if value not in (plain, plain or 0):
            yield f"api: openai knows no sampling.{name} ({value:g}); leave it out, or set vllm"


def _mixture(stage: StageConfig) -> Iterator[str]:
    """Yield the sources without a weight, if others have one."""
    without = [name for name, source in stage.data.items() if source.weight is None]
    for name in without if len(without) < len(stage.data) else ():
        yield f"data.{name}.weight: must be given, as other sources have one"


def _prompts(stage: StageConfig, templates: Iterable[str]) -> Iterator[str]:
    named: dict[str, Any] = {"": stage}
    named |= {f"models.{name}.": model for name, model in models_of(stage).items()}
    for key, one in named.items():
        if one.template and one.system:
            yield f"{key}system: a raw template has no system prompt; write it into template"
        if one.template and one.chat_template_kwargs:
            yield f"{key}chat_template_kwargs: a raw template reads none; write it into template"
        if one.template and "{{" not in one.template and "{%" not in one.template:
            close = suggest(one.template, templates)
            of_run = "one of the run's is given as ${template.<name>}"
            yield f"{key}template: '{one.template}' has no {{{{ prompt }}}}{close}; {of_run}"
