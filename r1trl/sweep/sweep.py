"""The runs of one command, one after another; those of a sweep are compared at its end."""

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from r1trl.compare.comparison import Comparison, compared
from r1trl.compare.page import tables, write_comparison
from r1trl.config.checked import Composed
from r1trl.launch.submit import requeue
from r1trl.launch.workers import LEFT_EARLY
from r1trl.plan.plan import Plan
from r1trl.process.terminal import say
from r1trl.rehearsal.first import check_first
from r1trl.run.loop import run
from r1trl.sweep.shared import with_shared
from r1trl.watch.leaving import Leaving


def run_all(planned: Sequence[tuple[Plan, Composed | None]]) -> int:
    """Carry out runs, as they were planned and composed; return the exit status of the command.

    Several are a sweep: each begins with what it shares with those before it, and at the end, also
    if some have failed, they are compared. An order to leave ends it with the run that goes on.
    Where nothing was composed, the stages are added to a run that is there.
    """
    status, done = 0, list[Plan]()
    with Leaving() as leaving:
        for number, (plan, composed) in enumerate(planned, 1):
            place = f"run {number} of {len(planned)}" if len(planned) > 1 else ""
            if place and composed is not None:
                say(f"{place}: {plan.folder}")
                plan = with_shared(plan, composed, done)
            text, first = (composed.text, check_first) if composed is not None else (None, None)
            status = max(status, run(plan, text, first, leaving, place))
            done.append(plan)
            if status == LEFT_EARLY:
                break
        if status == LEFT_EARLY:
            requeue()
        if leaving.at_once:  # Python's own end would take a second of a busy machine
            sys.stdout.flush()
            os._exit(status)
    folders = list(dict.fromkeys(plan.folder for plan in done))
    if status != LEFT_EARLY and len(folders) > 1:
        _end(folders)
    return status


def _end(folders: Sequence[Path]) -> None:
    """Print and write how the runs of a sweep compare."""
    comparison = compared(folders)
    page = folders[0].parent / _name(folders[0].name, comparison)
    write_comparison(comparison, page)
    say(f"\n{tables(comparison)}\n\n{len(folders)} runs compared: {page}")


def _name(first: str, comparison: Comparison) -> str:
    """Return the name of a sweep's page: what the runs' names begin with, and the swept keys.

    A sweep over other values of the same keys has the same one.
    """
    stem = re.split(r"-[\w.]+=", first)[0]
    keys = re.sub(r"[^\w.=,+-]", "-", ",".join(comparison.runs[0].given))
    return "-".join(filter(None, ("sweep", stem, keys))) + ".html"
