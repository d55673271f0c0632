"""A plan as a table: the stages in order, where each starts, on what, how large, and its launch."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from r1trl.checkpoints.disk import drawn_bytes, training_bytes, weights_of
from r1trl.config.kinds import models_of
from r1trl.config.schema import StageConfig
from r1trl.config.stage_parts import POLICY
from r1trl.errors import ConfigError
from r1trl.kind import Kind
from r1trl.plan.plan import Plan, PlannedStage
from r1trl.report.tables import aligned
from r1trl.stage.devices import idle_gpus, runs_a_model
from r1trl.stage.inputs import PREFIX

HERE = "r1trl"
EXPLAINED = (
    "drawn by r1trl: completions are generated in the stage's own processes; each prompt is\n"
    "prefilled once, and finished completions are dropped. On GPUs vLLM is faster:\n"
    "generation.vllm=true for stages that train, serve.policy={} of one that does not."
)


def describe(plan: Plan) -> str:
    """Return the plan as a table for a terminal."""
    rows = table(plan)
    title = f"run {plan.folder}: {len(plan.stages)} stages, seed {plan.config.seed}"
    here = any(row[5] == HERE for row in rows)
    text = f"{title}\n\n{aligned(rows)}\n\n{disk(plan)}"
    return text + (f"\n\n{EXPLAINED}" if here else "")


def disk(plan: Plan) -> str:
    """Return how much disk the rest of a run needs at most, as far as known, and what is free."""
    most, stays, unknown = 0, 0, []
    for planned in plan.stages:
        stage, name = planned.config, planned.spec.stage
        if planned.finished:
            continue
        if not planned.kind.trl_config:
            own = (drawn_bytes(stage, planned.kind),) * 2
        elif weights := _weights(plan, name):
            own = training_bytes(weights, stage.args, stage.checkpoints)
        else:
            unknown.append(name)
            continue
        most, stays = max(most, stays + own[0]), stays + own[1]
    above = next(p for p in (plan.folder, *plan.folder.absolute().parents) if p.exists())
    without = f", without {', '.join(unknown)}, whose models are not here" if unknown else ""
    free = shutil.disk_usage(above).free
    short = "; that may not suffice" if most > free else ""
    return f"disk: at most {gigabytes(most)}{without}; {gigabytes(free)} are free{short}"


def _weights(plan: Plan, name: str) -> int | None:
    """Return the number of weights of the model that a stage starts from; None if not known."""
    model = str(plan.config.stages[name].model)
    other = model.removeprefix(PREFIX).partition("/")[0]
    return _weights(plan, other) if model.startswith(PREFIX) else weights_of(model)


def gigabytes(size: int) -> str:
    """Return a number of bytes in words."""
    return f"{size / 1e9:,.1f} GB" if size >= 1e8 else f"{size / 1e6:,.0f} MB"


def table(plan: Plan) -> list[list[str]]:
    """Return the rows of the plan's table, the header first."""
    rows = [["stage", "kind", "starts from", "data", "size", "drawn by", "launch", "state"]]
    for planned in plan.stages:
        settings, stage = planned.spec.settings, plan.config.stages[planned.spec.stage]
        data = ", ".join(settings["data"] or settings["benchmarks"])
        state = "finished" if planned.finished else "to do"
        state += ", kept" if planned.spec.kept else ""
        state += ", not in this command" if planned not in plan.until else ""
        drawn, size = _backend(stage, planned.kind), _size(planned)
        launch = _launch(planned.launch)
        rows.append(
            [planned.spec.stage, stage.kind, _start(stage), data, size, drawn, launch, state]
        )
    return rows


def gpu_notes(plan: Plan, environment: Mapping[str, str], gpus: int) -> list[str]:
    """Return which stages leave GPUs of this machine unused, of `gpus` that it has."""
    stages: dict[str, list[str]] = {}
    for planned in plan.stages:
        local = planned.launch["how"] == "local" and not planned.config.args.get("use_cpu")
        idle = idle_gpus({**environment, **planned.launch["environment"]}, gpus)
        if idle and local and not planned.finished and runs_a_model(planned.config):
            stages.setdefault(idle, []).append(f"stages.{planned.spec.stage}")
    return [f"{', '.join(names)}: {idle}" for idle, names in stages.items()]


def _size(planned: PlannedStage) -> str:
    """Return how much a stage does; raise ConfigError if its kind cannot say."""
    try:
        return str(planned.kind.size(planned.config))
    except Exception as error:
        key, failed = f"stages.{planned.spec.stage}", f"{type(error).__name__}: {error}"
        message = f"{key}: size of kind '{planned.spec.kind}' failed: {failed}"
        raise ConfigError([message]) from error


def _backend(stage: StageConfig, kind: Kind) -> str:
    """Return what generates a stage's completions; empty if there are none."""
    if kind.draws == "nothing":
        return ""
    if POLICY in stage.serve:
        return f"its server {POLICY}"
    if stage.endpoints:
        return f"{len(stage.endpoints.urls)} servers"
    if stage.args.get("use_vllm"):
        return f"vLLM, {stage.args.get('vllm_mode', 'colocate')}"
    if kind.draws == "while training" and "rollout" not in kind.takes:
        return "transformers"  # TRL generates
    batching = stage.args.get("use_transformers_continuous_batching")
    return "transformers, continuous batching" if batching else HERE


def _launch(launch: Mapping[str, Any]) -> str:
    if launch["how"] == "local":
        return "local"
    return f"{launch['how']}, {launch['processes']} processes"


def _start(stage: StageConfig) -> str:
    """Return where a stage's weights start, in a few words."""
    if stage.model is None:
        return f"{len(models_of(stage))} models" if models_of(stage) else ""
    local = Path(stage.model).is_absolute()
    return "/".join(Path(stage.model).parts[-2:]) if local else stage.model
