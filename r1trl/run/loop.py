"""The loop over the stages of a run: finished ones are skipped, the others carried out."""

import fcntl
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from r1trl.errors import ConfigError
from r1trl.plan.plan import Plan, PlannedStage
from r1trl.report.report import write_report
from r1trl.run.launch import Workers, last_lines, rotate_log
from r1trl.run.progress import log_shown
from r1trl.stage.files import read_result, write_spec
from r1trl.storage.room import full
from r1trl.storage.writing import write_text

DONE, FAILED, LEFT_EARLY = 0, 1, 3


def run(plan: Plan, composed: str, first: Callable[[Plan, Workers], None] | None = None) -> int:
    """Carry out a plan, or continue it; return the exit status of the command.

    `first` is called before the first stage that is to do, and raises what stops the run. Raises
    ConfigError if another r1trl is at work in the run's folder.
    """
    plan.folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with locked(plan.folder), Workers() as workers:
        write_text(plan.folder / "config.yaml", composed)
        status = DONE
        if first and not all(stage.finished for stage in plan.stages):
            first(plan, workers)
        for stage in plan.stages:
            if workers.signal_number is not None:
                print("left early; the same command continues", flush=True)
                return LEFT_EARLY
            status = _run_stage(stage, workers)
            if status != DONE:
                break
        text = write_report(plan.folder)
        if status == DONE:
            print(
                f"\n{text}\n\n{plan.folder} is complete ({time.monotonic() - started:.0f} s); "
                f"report: {plan.folder / 'report.html'}"
            )
    return status


def _run_stage(stage: PlannedStage, workers: Workers) -> int:
    """Carry out a stage unless it is finished; print how it went; return the exit status."""
    name, folder = stage.spec.stage, stage.folder
    if not stage.finished:
        print(f"{name} ({stage.spec.kind}) …", flush=True)
        write_stage(stage)
        with log_shown(folder / "log.txt"):
            status = workers.run(folder, stage.launch)
        if workers.signal_number is not None and not (folder / "result.json").exists():
            print(f"{name} left early; the same command continues", flush=True)
            return LEFT_EARLY
        if status != 0 or not (folder / "result.json").exists():
            _report_failure(name, folder, status)
            return FAILED
    result = read_result(folder)
    assert result is not None
    done = "is already finished" if stage.finished else f"finished in {result.seconds:.0f} s"
    print(f"{name} {done}", flush=True)
    if result.stop:
        print(f"the run ends after {name}: {result.stop}", file=sys.stderr)
        return FAILED
    return DONE


def write_stage(stage: PlannedStage) -> None:
    """Write what a worker reads of a stage; the log of an earlier attempt is kept."""
    rotate_log(stage.folder)
    write_spec(stage.folder, stage.spec)


def _report_failure(name: str, folder: Path, status: int) -> None:
    how = f"exit status {status}" if status >= 0 else f"killed by signal {-status}"
    print(
        f"stage {name} failed ({how}): last lines of {folder / 'log.txt'} follow", file=sys.stderr
    )
    print(last_lines(folder), file=sys.stderr)
    if problem := full(folder):  # the log may have had no room for it
        print(f"error: {problem}", file=sys.stderr)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a lock on the run's folder; raise ConfigError if another driver has it."""
    with (folder / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                [f"name: another r1trl is at work in {folder}; wait for it, or choose another name"]
            ) from None
        yield
