"""Where a stage was carried out that a later run of the same sweep has taken over."""

import json
from pathlib import Path

from r1trl.storage.writing import write_text

FILE = "taken.json"


def write_taken(folder: Path, run: str) -> None:
    """Record the run that a stage's folder is from, unless it is recorded: it has made it then.

    `run` is relative to the stage's folder.
    """
    if not (folder / FILE).exists():
        write_text(folder / FILE, json.dumps({"run": run}) + "\n")


def taken_from(folder: Path) -> str:
    """Return the name of the run that has carried a stage out; empty if it is the stage's own."""
    path = folder / FILE
    return Path(json.loads(path.read_text(encoding="utf-8"))["run"]).name if path.exists() else ""
