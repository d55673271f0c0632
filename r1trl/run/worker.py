"""One stage, from stage.yaml to result.json: `python -m r1trl.run.worker runs/x/stages/y`.

The driver starts it and talks to it through files alone. Exit status: 0 finished, 1 failed,
3 left early on a signal with everything saved.
"""

import platform
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from datasets import disable_progress_bars

from r1trl.data.rows import rows_of
from r1trl.errors import R1trlError, StageError, errors_named
from r1trl.generation.local import load_tokenizer
from r1trl.generation.stages import evaluate, sample
from r1trl.plugins.loading import Plugins, load
from r1trl.stage.files import MAKES_MODEL, Work, digest, made_by, read_spec, write_result
from r1trl.stage.ranks import check_world, is_main
from r1trl.training.tracking import Tracker
from r1trl.types import StageResult

FAILED, LEFT_EARLY = 1, 3
PACKAGES = ("r1trl", "trl", "transformers", "torch", "accelerate", "datasets")


class Interrupted(Exception):  # noqa: N818 - not an error
    """A signal came; everything is saved."""


def carry_out(folder: Path) -> None:
    """Carry out the stage in a folder; raise Interrupted where a signal ends it."""
    started = time.monotonic()
    check_world()
    disable_progress_bars()  # they are for terminals, and this is a log
    work = read_spec(folder)
    if work is None:
        raise R1trlError(f"{folder} has no stage.yaml")
    plugins = load(work.plugins["load"], work.plugins["block"])
    tracker = Tracker(work, folder, main=is_main())
    transitions = _transitions(work, plugins)
    if is_main():
        plugins.manager.hook.r1trl_stage_started(stage=work.at(folder))
    if work.kind in MAKES_MODEL:
        metrics = _train(work, folder, plugins, tracker, transitions)
    else:
        metrics = {"sample": sample, "evaluate": evaluate}[work.kind](work, folder, plugins)
    if is_main():
        model, dataset = made_by(folder, work.kind)
        inputs = {reference: digest(Path(path)) for reference, path in work.inputs.items()}
        result = StageResult(
            work.stage, work.kind, folder, model, dataset, metrics, inputs, versions=_versions()
        )
        for name, transition in transitions.items():
            result = _pass_through(f"stages.{work.stage}.transitions.{name}", transition, result)
        result = replace(result, seconds=round(time.monotonic() - started, 3))
        plugins.manager.hook.r1trl_stage_finished(stage=work.at(folder), result=result)
        tracker.finish(result.metrics)
        write_result(result)


def _transitions(work: Work, plugins: Plugins) -> dict[str, Callable[..., Any]]:
    bound: dict[str, Callable[..., Any]] = {}
    for name, options in work.settings["transitions"].items():
        if options is not None:
            with errors_named(f"stages.{work.stage}.transitions.{name}"):
                bound[name] = plugins.find("transition", name).bind(options)
    return bound


def _pass_through(where: str, transition: Callable[..., Any], result: StageResult) -> StageResult:
    with errors_named(where):
        passed = transition(result)
    if not isinstance(passed, StageResult):
        raise StageError(f"{where}: returned {passed!r}; a transition returns a StageResult")
    return passed


def _train(
    work: Work,
    folder: Path,
    plugins: Plugins,
    tracker: Tracker,
    transitions: dict[str, Callable[..., Any]],
) -> dict[str, float]:
    from r1trl.training.arguments import Training
    from r1trl.training.trainer import train

    rows = rows_of(work, work.settings["data"], folder, plugins)
    tokenizer = load_tokenizer(work.settings["model"])
    key = f"stages.{work.stage}.transitions"
    until = {f"{key}.{n}": t.until for n, t in transitions.items() if hasattr(t, "until")}
    ending = train(Training(work, folder, rows, tokenizer, plugins, tracker, until))
    if ending.signal:
        raise Interrupted(ending.signal)
    if ending.reason:
        print(f"ended early: {ending.reason}", flush=True)
    return ending.metrics


def _versions() -> dict[str, str]:
    return {name: version(name) for name in PACKAGES} | {"python": platform.python_version()}


def run_stage(folder: Path) -> int:
    """Carry out a stage; return the exit status, having printed what went wrong."""
    try:
        carry_out(folder)
    except Interrupted as signal:
        print(f"left early on {signal}; the same command continues", flush=True)
        return LEFT_EARLY
    except R1trlError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return FAILED
    except Exception:  # noqa: BLE001 - a bug: its traceback belongs in the log
        traceback.print_exc()
        return FAILED
    return 0


def main() -> int:
    """Run from the command line."""
    if len(sys.argv) != 2:
        print("usage: python -m r1trl.run.worker STAGE_FOLDER", file=sys.stderr)
        return 2
    return run_stage(Path(sys.argv[1]))


if __name__ == "__main__":
    sys.exit(main())
