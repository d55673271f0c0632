"""The loop over the stages of a run: finished ones are skipped, the others carried out."""

import time
from collections.abc import Callable
from pathlib import Path

from r1trl.checkpoints.unread import remove_unread
from r1trl.estimate.plans import given_of
from r1trl.estimate.speed import tokens
from r1trl.identity.used import ready, record_kept, set_aside
from r1trl.launch.workers import LEFT_EARLY, Workers
from r1trl.live.run import PREFLIGHT
from r1trl.live.view import View
from r1trl.plan.plan import Plan, PlannedStage
from r1trl.process.terminal import say
from r1trl.report.page import LivePage
from r1trl.report.report import write_report
from r1trl.report.state import RecordedStage, write_record
from r1trl.stage.files import StageSpec, read_result, write_spec
from r1trl.stage.inputs import references_of
from r1trl.stage.logs import last_lines, rotate_logs, where
from r1trl.storage.room import full
from r1trl.storage.writing import write_text
from r1trl.watch.beats import write_error
from r1trl.watch.control import own_name
from r1trl.watch.leaving import Leaving, seconds_of
from r1trl.watch.lock import locked, take_over
from r1trl.watch.standing import standing

DONE, FAILED = 0, 1


def run(
    plan: Plan,
    composed: str | None,
    first: Callable[[Plan, Workers], None] | None = None,
    leaving: Leaving | None = None,
    place: str = "",
) -> int:
    """Carry out a plan, or continue it; return the exit status of the command.

    `composed` is the run's YAML; None: the stages are added to a run that is there, whose config
    and stages stay as they are. `first` is called before the first stage that is to do, and raises
    what stops the run. `leaving` says when to leave; None: its own does. `place` is the run's in a
    sweep. Raises ConfigError if another r1trl, or workers of one, are at work in the run's folder.
    """
    if leaving is None:
        with Leaving() as leaving:
            return run(plan, composed, first, leaving, place)
    plan.folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    leaving.limit(seconds_of(plan.config.time_limit), plan.config.launch.grace)
    watchdog = plan.config.watchdog.seconds
    with locked(plan.folder), Workers(leaving=leaving, watchdog=watchdog) as workers:
        take_over(plan.folder, own_name())
        if composed is not None:
            write_text(plan.folder / "config.yaml", composed)
            recorded = [_recorded(plan, stage) for stage in plan.stages]
            write_record(plan.folder, recorded, plan.config.report.completions)
        plan.digests.save()
        seconds = plan.config.progress.seconds
        to_do = [stage.spec.stage for stage in plan.until]
        with View(plan.folder, seconds, place, to_do) as view, LivePage(plan.folder) as page:
            status = _run_stages(plan, workers, view, page, first)
            page.wanted = not leaving.at_once
        if leaving.at_once:
            return status
        added = [stage.spec.stage for stage in plan.stages] if composed is None else []
        text = write_report(plan.folder, added)
        if status == DONE:
            seconds, report = time.monotonic() - started, plan.folder / "report.html"
            done = f"{plan.folder} has {added[0]}" if added else _how_far(plan)
            say(f"\n{text}\n\n{done} ({seconds:.0f} s); report: {report}")
    return status


def _run_stages(
    plan: Plan,
    workers: Workers,
    view: View,
    page: LivePage,
    first: Callable[[Plan, Workers], None] | None,
) -> int:
    """Carry out the stages that are to do; return the exit status of the command."""
    leaving = workers.leaving
    if first and not leaving.asked() and not all(stage.finished for stage in plan.until):
        with view.watching(PREFLIGHT, plan.folder / PREFLIGHT):
            first(plan, workers)
    _do_as_asked(plan)
    for stage in plan.until:
        if (reason := leaving.asked()) and not stage.finished:
            say(f"left early ({reason}); the same command continues")
            return LEFT_EARLY
        status = _run_stage(stage, workers, view)
        page.renew()
        if status != DONE:
            return status
    return DONE


def _recorded(plan: Plan, stage: PlannedStage) -> RecordedStage:
    """Return what the run's record says of a stage: from which others it reads, and its tokens."""
    reads = {
        ".".join(reference.key): reference.stage
        for reference in references_of(stage.config)
        if reference.stage is not None
    }
    given = given_of(plan, stage, None)
    drawn, trained = (tokens(given) if given else None) or (0.0, 0.0)
    return RecordedStage(stage.spec.stage, stage.spec.kind, reads, drawn, trained)


def _do_as_asked(plan: Plan) -> None:
    """Set aside the stages of `redo`, the last first, and record which are kept."""
    for stage in reversed(plan.stages):
        if stage.asked == "redo" and (old := set_aside(stage.folder)):
            name = stage.spec.stage
            say(f"{name} is carried out again; what was there is in {old}")
    if plan.config.redo:
        say("to continue from here on, leave out redo=…")
    for stage in plan.stages:
        if stage.spec.kept:
            record_kept(stage.folder, stage.spec.kept)


def _how_far(plan: Plan) -> str:
    """Say that the run is complete, or what is left of it."""
    left = [stage.spec.stage for stage in plan.stages[len(plan.until) :]]
    if not left:
        return f"{plan.folder} is complete"
    return f"{plan.folder} is done until {plan.config.until}; left: {', '.join(left)}"


def _run_stage(stage: PlannedStage, workers: Workers, view: View) -> int:
    """Carry out a stage unless it is finished; print how it went; return the exit status."""
    name, folder = stage.spec.stage, stage.folder
    if not stage.finished:
        say(f"{name} ({stage.spec.kind}) …")
        began = time.time()
        write_stage(stage)
        with view.watching(name, folder):
            status = workers.run(folder, stage.launch, stage.config.serve)
        if not (folder / "result.json").exists():
            return _ended_early(name, folder, status, workers, began)
    else:
        prepared(stage)
    result = read_result(folder)
    assert result is not None
    remove_unread(folder, stage.config.checkpoints)  # unless the worker could
    done = "is already finished" if stage.finished else f"finished in {result.seconds:.0f} s"
    kept = "; ".join(result.kept.get("differences", ()))
    say(f"{name} {done}{f' (kept: {kept})' if kept else ''}")
    if result.stop:
        say(f"the run ends after {name}: {result.stop}", error=True)
        return FAILED
    return DONE


def write_stage(stage: PlannedStage) -> None:
    """Write what a worker reads of a stage; the log of an earlier attempt is kept.

    Raises ConfigError if it is half done, and an earlier stage has made something else since then.
    """
    spec = prepared(stage)
    rotate_logs(stage.folder)
    write_spec(stage.folder, spec)


def prepared(stage: PlannedStage) -> StageSpec:
    """Return a stage with the digests of what it reads; see `identity.used.ready`."""
    finished, keep = stage.finished, stage.asked == "keep"
    return ready(stage.spec, stage.config, stage.folder, finished=finished, keep=keep)


def _ended_early(name: str, folder: Path, status: int, workers: Workers, began: float) -> int:
    """Say in a sentence what has become of a stage without a result; return the exit status."""
    watch = workers.watch
    assert watch
    error = watch.error(status)
    reason = workers.leaving.reason
    if error is None and (reason or status == LEFT_EARLY):
        why = reason or "a signal to a worker"
        left = f"{name} left early ({why}): {standing(folder, began)}"
        say(f"{left}; the same command continues")
        return LEFT_EARLY
    how = f"exit status {status}" if status >= 0 else f"killed by signal {-status}"
    how = how if status else "its process has ended without a result; a plugin may have ended it"
    write_error(folder, 0, error or how)  # for the report, unless a rank has said it
    if error is None:
        say(f"stage {name} failed ({how}): last lines of {where(folder)} follow", error=True)
        say(last_lines(folder), error=True)
    else:
        say(f"stage {name} failed: {error}\nsee {where(folder)}", error=True)
    if problem := full(folder):  # the log may have had no room for it
        say(f"error: {problem}", error=True)
    return FAILED
