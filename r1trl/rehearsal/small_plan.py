"""The plan of a rehearsal: every stage made small, in a folder of its own, on shrunk models."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from r1trl.config.checked import Composed
from r1trl.config.kinds import load_plugins, reads_benchmarks, stage_class
from r1trl.config.parse import parse
from r1trl.config.schema import SourceConfig, StageConfig, WandbConfig
from r1trl.config.stage_parts import POLICY, LaunchConfig
from r1trl.errors import ConfigError, errors_named
from r1trl.plan.choices import active
from r1trl.plan.plan import Plan, PlannedStage, make_plan
from r1trl.plugins.loading import Plugins
from r1trl.plugins.offer import offered_name
from r1trl.rehearsal.small import ROWS, STEPS, small_source, small_stage
from r1trl.rehearsal.stand_ins import REWARD
from r1trl.rewards.scorer import COMMON_OPTIONS
from r1trl.serve.clients import named_servers
from r1trl.stage.checkpoints import CheckpointReader
from r1trl.stage.files import NOTHING, changed_values
from r1trl.stage.inputs import put, references_of
from r1trl.tracking.chosen import chosen_trackers


@dataclass(frozen=True)
class SmallPlan:
    """A plan in miniature; `not_asked` says what outside of this machine is left out."""

    plan: Plan
    not_asked: Sequence[str]


def small_plan(plan: Plan, models: Mapping[str, str], folder: Path) -> SmallPlan:
    """Return the small plan of a run, in `folder`/runs; `models` maps models to shrunk ones."""
    not_asked: list[str] = []
    stages = {p.spec.stage: _small(p, plan.plugins, models, not_asked) for p in plan.stages}
    if chosen := chosen_trackers(plan.config):
        not_asked.append(f"trackers: nothing is told to {', '.join(chosen)}")
    load = [*plan.config.plugins.load, "r1trl.rehearsal.stand_ins"]
    benchmarks = {
        name: SourceConfig(**small_source(asdict(source), ROWS))
        for name, source in plan.config.benchmarks.items()
    }
    config = replace(
        plan.config,
        runs_dir=str(folder / "runs"),
        stages=stages,
        benchmarks=benchmarks,
        launch=LaunchConfig(),
        trackers={},
        wandb=WandbConfig(),
        until=None,
        redo=[],
        keep=[],
        plugins=replace(plan.config.plugins, load=load),
    )
    plugins = load_plugins(load, config.plugins.block)
    return SmallPlan(make_plan(Composed(config, plugins, "")), not_asked)


def _small(
    planned: PlannedStage, plugins: Plugins, models: Mapping[str, str], not_asked: list[str]
) -> StageConfig:
    """Return the small settings of a stage."""
    key, settings = f"stages.{planned.spec.stage}", asdict(planned.config)
    for reference in references_of(planned.config):
        if reference.wants == "model" and reference.value in models:
            put(settings, reference.key, models[reference.value])
    small = small_stage(settings, planned.kind)
    if planned.kind.trl_config:
        small["args"]["max_steps"] = _steps(small["transitions"], plugins)
    small["rewards"] = _without_outside(small["rewards"], "reward", plugins, key, not_asked)
    for group in (small, *small["data"].values(), *small["benchmarks"].values()):
        group["filters"] = _without_outside(group["filters"], "filter", plugins, key, not_asked)
    if planned.config.endpoints:
        not_asked.append(f"{key}.endpoints: a small model here writes the completions instead")
    for name in planned.config.serve:
        instead = ": a small model here writes the completions instead" if name == POLICY else ""
        not_asked.append(f"{key}.serve.{name}: is not started{instead}")
    if not reads_benchmarks(planned.kind, planned.config):
        small["benchmarks"] = {}
    stage: StageConfig
    stage, problems = parse(stage_class(planned.kind), small, f"{key}.")
    if problems:
        raise ConfigError(problems)
    return stage


def _steps(transitions: Mapping[str, Any], plugins: Plugins) -> int:
    """Return the steps of a training stage: as many as the checkpoints that transitions read."""
    made: list[Any] = [
        plugins.find("transition", name).bind(options)
        for name, options in active(transitions).items()
    ]
    return max([STEPS, *(t.min_checkpoints for t in made if isinstance(t, CheckpointReader))])


def _without_outside(
    chosen: Mapping[str, Any], role: str, plugins: Plugins, key: str, not_asked: list[str]
) -> dict[str, Any]:
    """Return what is chosen of a role without what asks something outside of this machine.

    A filter is dropped; a reward gets a stand-in without verdicts, as others may refer to it.
    """
    kept = dict(chosen)
    for name, options in active(chosen).items():
        own = {k: v for k, v in options.items() if role != "reward" or k not in COMMON_OPTIONS}
        offer = plugins.find(role, offered_name(role, name, options))
        asks = offer.description.asks_outside
        with errors_named(f"{key}.{role}s.{name}"):
            asked = asks(**own) if asks else ", ".join(sorted(named_servers(own)))
        if asked:
            common = {k: v for k, v in options.items() if k in COMMON_OPTIONS}
            kept[name] = {**common, "reward": REWARD} if role == "reward" else None
            not_asked.append(f"{key}.{role}s.{name}: {asked} is not asked")
    return kept


def changes(plan: Plan, small: Plan) -> list[str]:
    """Return what was made small, one line for each key: today's value and those in its place."""
    found: dict[str, dict[str, None]] = {}
    for before, after in zip(plan.stages, small.stages, strict=True):
        old, new = (_comparable(each) for each in (before, after))
        for key, was, now in changed_values(old, new):
            is_model = str(now).startswith(str(small.folder.parents[1]))  # a shrunk one
            if was != NOTHING and not is_model:
                found.setdefault(f"{key}={now}", {})[str(was)] = None
    return [f"{key} in place of {', '.join(was)}" for key, was in found.items()]


def _comparable(planned: PlannedStage) -> dict[str, Any]:
    """Return a stage's settings without what has not become small, sources under one name."""
    settings = asdict(planned.config)
    for group in ("data", "benchmarks"):
        for name in list(settings[group]):
            source = settings[group].pop(name)
            settings[group]["*"] = {k: source[k] for k in ("take", "sample_rows", "split")}
    for name in ("rewards", "filters"):
        settings.pop(name)  # what is not asked is told elsewhere
    return settings
