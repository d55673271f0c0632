"""The trackers of a run: which are chosen, and what they are told of the run."""

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from r1trl.config.checked import Composed
from r1trl.config.schema import RunConfig

SHORT = "wandb"  # the tracker that has keys of its own


def chosen_trackers(config: RunConfig) -> dict[str, dict[str, Any]]:
    """Return the trackers of a run with their options; `wandb.enabled` is short for one of them.

    What stands in `trackers.wandb` counts before what stands in `wandb`.
    """
    given = config.trackers.items()
    chosen = {name: dict(options) for name, options in given if isinstance(options, Mapping)}
    if config.wandb.enabled:
        short = {
            n: v for n, v in asdict(config.wandb).items() if n in ("project", "entity", "mode")
        }
        chosen[SHORT] = {n: v for n, v in short.items() if v is not None} | chosen.get(SHORT, {})
    return chosen


def about_run(run: Composed) -> dict[str, Any]:
    """Return what trackers are told of a run; nothing if there are none."""
    if not chosen_trackers(run.config):
        return {}
    given = run.given
    return {"recipe": given.recipe, "overrides": list(given.overrides), "commit": commit()}


def commit() -> str | None:
    """Return the commit of the Git repository that the command is given in; None without one."""
    git = shutil.which("git")
    if git is None:
        return None
    asked = [git, "rev-parse", "HEAD"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None if done.returncode == 0 else None
