"""The runs of a command line, planned."""

import argparse
import os
from collections.abc import Iterable
from typing import Any

from r1trl.errors import ConfigError
from r1trl.process.terminal import say

STARTS = ("run", "eval")  # commands that carry out what they plan


def plans(arguments: argparse.Namespace) -> list[Any]:
    """Return every run as it was planned and composed; print notes on names and GPUs."""
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
        plans.append((plan, composed))
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
