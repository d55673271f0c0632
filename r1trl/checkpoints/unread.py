"""What nobody reads any more once a stage has its result: checkpoints, shards, proofs of phases."""

import shutil
from pathlib import Path
from typing import Literal

from r1trl.checkpoints.marks import marked_steps, own_checkpoints
from r1trl.storage.writing import PART, remove

Kept = Literal["keep", "last", "none"]
BETWEEN = ("shards", "made.json")  # of a stage's folder, read only until it has its result


def remove_unread(folder: Path, checkpoints: Kept) -> None:
    """Remove from a finished stage's folder what only an unfinished one needs.

    `checkpoints` says which of them stay: all, with everything else, the newest, or none. Other
    people's folders among them stay too.
    """
    if checkpoints == "keep":
        return
    for name in BETWEEN:
        if (folder / name).exists():
            remove(folder / name)
    inside = folder / "checkpoints"
    newest = marked_steps(inside)[-1:] if checkpoints == "last" else []
    for step, path in own_checkpoints(inside).items():
        if step not in newest:
            remove(path)
    sweep(inside)
    sweep(folder)
    if checkpoints == "none" and inside.is_dir() and _only_a_card(inside):
        remove(inside)


def sweep(folder: Path) -> None:
    """Remove what a kill has left of folders that were being removed, or written."""
    for pattern in (".*.removed", f"*{PART}"):
        for left in folder.glob(pattern):
            if left.is_dir():
                shutil.rmtree(left)


def _only_a_card(folder: Path) -> bool:
    """Return True if a folder has nothing but the model card that TRL writes beside checkpoints."""
    return {path.name for path in folder.iterdir()} <= {"README.md"}
