"""The recipe checked before anything starts, and laid out: every problem at once, or a plan."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from r1trl.config.schema import REQUIRED, RunConfig, StageConfig
from r1trl.errors import ConfigError
from r1trl.plan.choices import active
from r1trl.plan.drawing import TRAINS_ON_ROLLOUTS
from r1trl.plan.stages import StageCheck
from r1trl.plugins.loading import Plugins, load
from r1trl.report.tables import aligned
from r1trl.stage.files import MAKES_DATASET, Work, differences, digest, read_result, read_spec
from r1trl.stage.inputs import check_references, resolve
from r1trl.types import Benchmarks

CHECKED_WHEN_FINISHED = ("kind", "seed", "settings")
HERE = "r1trl"  # draws completions itself
EXPLAINED = (
    "drawn by r1trl: in the stage's own processes; prompts are read once, and no time goes into\n"
    "completions that have ended. On GPUs vLLM is faster: args.use_vllm=true of a grpo or rloo\n"
    "stage (pip install vllm), endpoints.urls=[…] of a sample or evaluate stage."
)


@dataclass(frozen=True)
class PlannedStage:
    """A stage that will run, or that has run and is as it would be now."""

    work: Work
    folder: Path
    launch: Mapping[str, Any]
    finished: bool


@dataclass(frozen=True)
class Plan:
    """A recipe that can be carried out."""

    config: RunConfig
    folder: Path
    stages: list[PlannedStage]
    plugins: Plugins


def make_plan(config: RunConfig) -> Plan:
    """Check a run and lay out its stages; raise ConfigError with every problem there is."""
    plugins, problems = load(config.plugins.load, config.plugins.block), []
    if config.name != REQUIRED and not re.fullmatch(r"[\w.=,+-]+", config.name):
        problems.append(f"name: '{config.name}' cannot be the name of a folder")
    if not config.stages:
        problems.append("stages: the recipe has none; choose one with recipe=…")
    for name, stage in config.stages.items():
        launch, benchmarks = stage.launch or config.launch, stage.benchmarks or config.benchmarks
        problems += StageCheck(name, stage, benchmarks, launch, plugins).problems()
        problems += check_references(config, name)
    if problems:
        raise ConfigError(problems)
    folder = Path(config.runs_dir) / config.name
    stages = [_planned(config, name, folder / "stages", plugins) for name in config.stages]
    changed = [line for stage in stages for line in _changes(stage)]
    if changed:
        raise ConfigError(changed)
    return Plan(config, folder, stages, plugins)


def _planned(config: RunConfig, name: str, stages: Path, plugins: Plugins) -> PlannedStage:
    """Return a stage with its references resolved to folders and files."""
    stage, folder = config.stages[name], stages / name
    settings = asdict(stage)
    launch = settings.pop("launch") or asdict(config.launch)
    if stage.kind == "evaluate" and not stage.benchmarks:
        settings["benchmarks"] = {n: asdict(s) for n, s in config.benchmarks.items()}
    _name_benchmarks(settings, config, plugins)
    work = Work(
        stage=name,
        kind=stage.kind,
        run=config.name,
        seed=config.seed,
        settings=settings,
        inputs=resolve(config, name, settings, stages),
        plugins=asdict(config.plugins),
        wandb=asdict(config.wandb),
    )
    return PlannedStage(work, folder, launch, (folder / "result.json").exists())


def _name_benchmarks(settings: dict[str, Any], config: RunConfig, plugins: Plugins) -> None:
    """Put sources in place of the names of benchmarks in the options of filters."""
    sources = [*settings["data"].values(), *settings["benchmarks"].values(), settings]
    chosen = [item for source in sources for item in active(source["filters"]).items()]
    for name, options in chosen:
        for option in plugins.find("filter", name).options_of(Benchmarks):
            named = options.get(option) or config.benchmarks
            options[option] = {n: asdict(config.benchmarks[n]) for n in named}  # type: ignore[index]


def _changes(stage: PlannedStage) -> list[str]:
    """Say in what a finished stage would now differ, and what can be done."""
    old, result = read_spec(stage.folder), read_result(stage.folder)
    if old is None or result is None:
        return []
    before, after, lines = asdict(old), asdict(stage.work), []
    for key in CHECKED_WHEN_FINISHED:
        lines += differences({key: before[key]}, {key: after[key]})
    for reference, seen in result.inputs.items():
        path = Path(stage.work.inputs.get(reference, ""))
        if path.exists() and digest(path) != seen:
            lines.append(f"input {reference} is not what it was")
    mend = f"undo the change, choose another name=…, or remove {stage.folder} to run it again"
    return [f"stages.{stage.work.stage}: is finished, but {line}; {mend}" for line in lines]


def describe(plan: Plan) -> str:
    """Return what would run: stages in order, where each starts, on what, where and how large."""
    rows = [["stage", "kind", "starts from", "data", "size", "drawn by", "launch", "state"]]
    for planned in plan.stages:
        settings, stage = planned.work.settings, plan.config.stages[planned.work.stage]
        data = ", ".join(settings["data"] or settings["benchmarks"])
        state = "finished" if planned.finished else "to do"
        where = _where(planned.launch)
        name, kind = planned.work.stage, stage.kind
        rows.append([name, kind, _start(stage), data, _size(stage), _drawn(stage), where, state])
    title = f"run {plan.folder}: {len(plan.stages)} stages, seed {plan.config.seed}"
    here = any(row[5] == HERE for row in rows)
    return f"{title}\n\n{aligned(rows)}" + (f"\n\n{EXPLAINED}" if here else "")


def _drawn(stage: StageConfig) -> str:
    """Return who draws a stage's completions."""
    if stage.kind not in (*TRAINS_ON_ROLLOUTS, *MAKES_DATASET):
        return ""
    if stage.endpoints:
        return f"{len(stage.endpoints.urls)} servers"
    if stage.args.get("use_vllm"):
        return f"vLLM, {stage.args.get('vllm_mode', 'colocate')}"
    batching = stage.args.get("use_transformers_continuous_batching")
    return "transformers, continuous batching" if batching else HERE


def _where(launch: Mapping[str, Any]) -> str:
    if launch["how"] == "local":
        return "local"
    return f"{launch['how']}, {launch['processes']} processes"


def _start(stage: StageConfig) -> str:
    """Return where a stage's weights start, in a few words."""
    if stage.model is None:
        return f"{len(stage.models)} models"
    local = Path(stage.model).is_absolute()
    return "/".join(Path(stage.model).parts[-2:]) if local else stage.model


def _size(stage: StageConfig) -> str:
    """Return how much a stage does, in a few words."""
    args, sampling = stage.args, stage.sampling
    if stage.kind in TRAINS_ON_ROLLOUTS:
        per_step = stage.rollout.outputs // stage.rollout.minibatches
        return f"{args.get('max_steps', '?')} steps × {per_step} outputs"
    if stage.kind in MAKES_DATASET:
        return f"{sampling.n} samples of up to {sampling.max_tokens} tokens"
    steps = args.get("max_steps", -1)
    return f"{steps} steps" if steps > 0 else f"{args.get('num_train_epochs', 3)} epochs"
