"""A plan in detail: each stage's rewards, filters, samplers, transitions and arguments, by key."""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from r1trl.config.kinds import models_of
from r1trl.plan.choices import active
from r1trl.plan.plan import Plan, PlannedStage
from r1trl.plugins.loading import Plugins
from r1trl.plugins.offer import offered_name
from r1trl.report.tables import aligned
from r1trl.variants import share

LONGEST = 60  # characters of a value


def details(plan: Plan) -> str:
    """Return what stands in each stage, an entry per line; defaults are in parentheses."""
    return "\n\n".join(_stage(planned, plan.plugins) for planned in plan.stages)


def _stage(planned: PlannedStage, plugins: Plugins) -> str:
    rows = []
    for key, role, chosen in _chosen(planned):
        for name, options in active(chosen).items():
            rows.append([f"  {key}.{name}", _options(role, name, options, plugins)])
    stage = planned.config
    for name, source in stage.data.items():
        if forms := list(active(source.variants)):
            rows.append([f"  data.{name}.varied", f"{share(forms, source.varied):.3g}"])
    if "sampling" in planned.kind.takes:
        rows += [[f"  sampling.{n}", shown(value)] for n, value in asdict(stage.sampling).items()]
    rows += [[f"  args.{name}", shown(value)] for name, value in stage.args.items()]
    return f"stages.{planned.spec.stage}:\n{aligned(rows or [['  nothing', '']])}"


def _chosen(planned: PlannedStage) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield the key, role and mapping of everything that a stage picks from plugins."""
    stage = planned.config
    yield "rewards", "reward", stage.rewards
    group = "benchmarks" if "benchmarks" in planned.kind.needs else "data"
    for name, source in getattr(stage, group).items():
        yield f"{group}.{name}.filters", "filter", source.filters
        yield f"{group}.{name}.variants", "variant", source.variants
    yield "filters", "filter", stage.filters
    yield "samplers", "sampler", stage.samplers
    for name, model in models_of(stage).items():
        yield f"models.{name}.samplers", "sampler", model.samplers
    yield "variants", "variant", stage.variants
    yield "transitions", "transition", stage.transitions


def _options(role: str, name: str, options: Mapping[str, Any], plugins: Plugins) -> str:
    """Return options as given, then the defaults of those that are not."""
    offer = plugins.find(role, offered_name(role, name, options))
    defaults = {
        option: parameter.default
        for option, parameter in offer.options.items()
        if option not in options and parameter.default is not inspect.Parameter.empty
    }
    if role == "reward" and "weight" not in options:
        defaults = {"weight": 1.0, **defaults}
    given = " ".join(f"{option}={shown(value)}" for option, value in options.items())
    rest = " ".join(f"{option}={shown(value)}" for option, value in defaults.items())
    return f"{given} ({rest})".strip() if rest else given


def shown(value: Any) -> str:
    """Return a value in one line as an override has it, without what is too long for a table."""
    if value is None or isinstance(value, bool):
        text = "null" if value is None else str(value).lower()
    elif isinstance(value, Mapping):
        text = f"{{{', '.join(f'{name}: {shown(inner)}' for name, inner in value.items())}}}"
    elif isinstance(value, list | tuple):
        text = f"[{', '.join(map(shown, value))}]"
    else:
        text = " ".join(str(value).split()) or "''"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
