"""What stands of a stage that was left early: a checkpoint or shards, and the seconds lost."""

import re
import time
from pathlib import Path

SAVED_SECONDS = 1.0  # between the last checkpoint and the end, if it was written to leave


def standing(folder: Path, began: float) -> str:
    """Return what stands of the stage in a folder; `began` is in seconds since 1970."""
    now = time.time()
    marks = [
        (int(match[1]), mark)
        for mark in (folder / "checkpoints").glob("checkpoint-*/complete.json")
        if (match := re.fullmatch(r"checkpoint-(\d+)", mark.parent.name))
    ]
    if marks:
        step, mark = max(marks)
        return f"checkpoint-{step} stands{_lost(now - max(began, mark.stat().st_mtime))}"
    shards = list((folder / "shards").rglob("*.parquet"))
    if shards:
        newest = max(shard.stat().st_mtime for shard in shards)
        which = (
            "1 finished shard stands"
            if len(shards) == 1
            else f"{len(shards)} finished shards stand"
        )
        return f"{which}{_lost(now - max(began, newest))}"
    return f"it begins again{_lost(now - began)}"


def _lost(seconds: float) -> str:
    return f", {seconds:.0f} s are lost" if seconds > SAVED_SECONDS else ", nothing is lost"
