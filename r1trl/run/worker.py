"""One stage, from stage.yaml to result.json: `python -m r1trl.run.worker runs/x/stages/y`.

The driver starts it and reads its files, nothing else. Exit status: 0 finished, 1 failed, 3 left
early on a signal.
"""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from r1trl.arguments.check import args_of, missing_packages
from r1trl.checkpoints.unread import remove_unread
from r1trl.config.kinds import load_plugins, stage_class
from r1trl.config.parse import parse
from r1trl.config.schema import StageConfig
from r1trl.errors import ConfigError, R1trlError, StageError
from r1trl.identity.found import made_files
from r1trl.identity.used import read_by_worker
from r1trl.identity.versions import versions
from r1trl.models.adapter import has_adapter, merge_adapter
from r1trl.plugins.hooks import notify
from r1trl.plugins.loading import Plugins
from r1trl.process.environment import unset
from r1trl.process.extensions import prepare_extensions
from r1trl.process.guard import tell_exits
from r1trl.process.terminal import say
from r1trl.run.made import metrics_of, read_made, write_made
from r1trl.run.quiet import quiet_libraries
from r1trl.run.transitions import StageTransitions, bind_transitions
from r1trl.run.work import StageWork
from r1trl.serve.clients import with_addresses
from r1trl.stage.code import code_of
from r1trl.stage.devices import hide_gpus, take_device
from r1trl.stage.files import StageSpec, outputs, read_spec, write_result
from r1trl.stage.ranks import barrier, from_main, is_main, join, world_size
from r1trl.storage.modes import usual_modes
from r1trl.tracking.tracking import Tracking, begin_tracking
from r1trl.training.trl_patches import let_fsdp_use_the_cpu
from r1trl.types import StageResult
from r1trl.watch.control import bounds_of, own_driver
from r1trl.watch.processes import end_with_parent
from r1trl.watch.status import status_of

PICKLE = "training_args.bin"  # transformers' own, with the run's folder; trainer_args.json has it


def run_stage_folder(
    folder: Path,
    work_class: type[StageWork] = StageWork,
    transitions_class: type[StageTransitions] = StageTransitions,
) -> None:
    """Carry out the stage in a folder; raise Interrupted if a signal ends it.

    A rehearsal has classes of its own for what the kind works with and for the transitions.
    """
    quiet_libraries()
    spec = read_spec(folder)
    if spec is None:
        raise R1trlError(f"{folder} has no stage.yaml")
    for problem in unset(spec.settings, f"stages.{spec.stage}"):
        raise StageError(problem)
    hide_gpus(spec.settings.get("args", {}), world_size())
    key = f"stages.{spec.stage}"
    spec = replace(spec, settings=with_addresses(spec.settings, folder, key))
    for said in code_of(spec, folder) if is_main() else ():
        say(said)
    plugins = load_plugins(spec.plugins.get("load", ()), spec.plugins.get("block", ()))
    tracking = begin_tracking(spec, folder, plugins) if is_main() else Tracking()
    with tracking:
        transitions = transitions_class(bind_transitions(spec, plugins))
        _carry_out(spec, folder, plugins, tracking, transitions, work_class)


def _carry_out(
    spec: StageSpec,
    folder: Path,
    plugins: Plugins,
    tracking: Tracking,
    transitions: StageTransitions,
    work_class: type[StageWork],
) -> None:
    """Let the kind make the stage's output, apply its transitions, and write its result."""
    started, key = time.monotonic(), f"stages.{spec.stage}"
    if is_main():
        notify(plugins.manager, "r1trl_stage_started", key, stage=spec.at(folder))
    stage = parse_stage(spec, plugins)
    for missing in missing_packages(stage.args):
        raise StageError(f"{key}.{missing}")
    own = (folder, spec.seed, spec.own_seed, plugins, tracking, transitions)
    work = work_class(stage, spec.stage, plugins.kind(spec.kind), *own, identity=spec.identity)
    take_device(work.stage, work.key)
    join(bounds_of(folder).timeout)
    let_fsdp_use_the_cpu()
    read = read_by_worker(spec, stage, folder) if is_main() else {}  # the others wait in `_made`
    made = _made(work, spec)
    if made is not None and is_main():
        model, dataset = outputs(folder, spec.makes)
        kept: dict[str, Any] = {"inputs": read, "versions": versions()}
        kept |= {"identity": spec.identity, "kept": spec.kept}
        result = StageResult(spec.stage, spec.kind, folder, model, dataset, made, **kept)
        result = replace(_with_whole_model(transitions.apply(result)), **kept)
        result = replace(result, seconds=round(time.monotonic() - started, 3))
        told = replace(result, metrics=dict(result.metrics))  # which a plugin may change
        notify(plugins.manager, "r1trl_stage_finished", key, stage=spec.at(folder), result=told)
        for path in filter(None, (result.model, result.dataset)):
            if not path.exists():
                raise StageError(f"{key}: {path.name} was there, and is gone; a plugin removed it")
            usual_modes(path)
        made_now = made_files(folder, result.model or result.dataset)  # hooks may add to it
        result = replace(result, made=made_now)
        write_result(result)
        remove_unread(folder, stage.checkpoints)
        tracking.finish(result)


def _made(work: StageWork, spec: StageSpec) -> dict[str, float] | None:
    """Let the kind make the stage's output, unless that is made; return its metrics on rank 0."""
    made = from_main(lambda: read_made(work.folder, (spec.identity,)))
    if made is not None:
        return made
    returned = work.kind.run(work)
    barrier()  # no result before every process has ended its work
    if not is_main():
        return None
    metrics = metrics_of(returned, spec)
    model, dataset = outputs(work.folder, spec.makes)
    output = model or dataset
    assert output is not None
    if not output.exists():
        raise StageError(
            f"{work.key}: kind '{spec.kind}' makes a {spec.makes}, but left no "
            f"{output.name}; its run must write it"
        )
    if model:
        (model / PICKLE).unlink(missing_ok=True)
    write_made(output, metrics, spec.identity)
    return metrics


def _with_whole_model(result: StageResult) -> StageResult:
    """Return a result whose model is whole: an adapter is merged, as later stages need it."""
    if result.model is None or not has_adapter(result.model):
        return result
    changed = merge_adapter(result.model)
    return replace(result, metrics={**result.metrics, "merged_tensors": changed})


def parse_stage(spec: StageSpec, plugins: Plugins) -> StageConfig:
    """Return the settings of a stage, typed, TRL's arguments too.

    Raises ConfigError if they do not fit its kind.
    """
    stage: StageConfig
    kind = plugins.kind(spec.kind)
    stage, problems = parse(stage_class(kind), spec.settings, f"stages.{spec.stage}.")
    if problems:
        raise ConfigError(problems)
    if kind.trl_config:
        stage = replace(stage, args=args_of(kind.trl_config, stage.args, kind.fields))
    return stage


def run_stage(folder: Path, carry_out: Callable[[Path], None] = run_stage_folder) -> int:
    """Carry out a stage; return the exit status after printing what went wrong."""
    tell_exits()
    prepare_extensions()
    return status_of(folder.absolute(), carry_out)


def main() -> int:
    """Run from the command line."""
    if len(sys.argv) != 2:
        say("usage: python -m r1trl.run.worker STAGE_FOLDER", error=True)
        return 2
    if own_driver() is not None:
        end_with_parent()
    return run_stage(Path(sys.argv[1]))


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # a thread that hangs, such as a reward's, does not keep the process
