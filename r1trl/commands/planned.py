"""The runs of a command line, planned, and carried out."""

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from r1trl.errors import ConfigError
from r1trl.process.terminal import say

STARTS = ("run", "eval")  # commands that carry out what they plan


def plans(arguments: argparse.Namespace) -> list[Any]:
    """Return the plan and the composed YAML of every run; print notes on names and GPUs."""
    from r1trl.config.compose import compose
    from r1trl.config.overrides import sweep
    from r1trl.estimate.judge import verdict
    from r1trl.plan.describe import gpu_notes
    from r1trl.plan.plan import make_plan
    from r1trl.stage.devices import driver_gpus

    runs = sweep(arguments.overrides) if arguments.multirun else [(arguments.overrides, "")]
    plans = []
    for overrides, tail in runs:
        try:
            composed = compose(overrides, arguments.config_dir, tail)
        except ConfigError as error:
            raise ConfigError(error.problems + _further(error.partial)) from error
        print_notes(composed.notes)
        plan = make_plan(composed)
        print_notes([*plan.notes, *gpu_notes(plan, os.environ, driver_gpus().number)])
        starts, rehearses = arguments.command in STARTS, getattr(arguments, "rehearse", False)
        print_notes(verdict(plan, starts=starts, rehearses=rehearses))
        plans.append((plan, composed.text))
    return plans


def print_notes(notes: Iterable[str]) -> None:
    """Print notes, each on a line of its own, beside the output."""
    for note in notes:
        say(f"note: {note}", error=True)


def _further(composed: Any) -> list[str]:
    """Return what else is wrong with a run that has problems already."""
    from r1trl.plan.plan import make_plan

    try:
        if composed is not None:
            make_plan(composed)
    except ConfigError as error:
        return error.problems
    return []


def carry_out(runs: Sequence[tuple[Any, str | None]]) -> int:
    """Carry out planned runs, one after another; return the exit status of the command.

    Each is a plan and the run's YAML; None: its stages are added to a run that is there.
    """
    from r1trl.launch.submit import requeue
    from r1trl.launch.workers import LEFT_EARLY
    from r1trl.rehearsal.first import check_first
    from r1trl.run.loop import run
    from r1trl.watch.leaving import Leaving

    status = 0
    with Leaving() as leaving:
        for number, (plan, text) in enumerate(runs, 1):
            first = check_first if text is not None else None
            place = f"run {number} of {len(runs)}" if len(runs) > 1 else ""
            status = max(status, run(plan, text, first, leaving, place))
            if status == LEFT_EARLY:  # a sweep ends with its run
                break
        if status == LEFT_EARLY:
            requeue()
        if leaving.at_once:  # Python's own end would take a second of a busy machine
            sys.stdout.flush()
            os._exit(status)
    return status
