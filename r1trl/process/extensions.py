"""Code that libraries compile when a process starts, as DeepSpeed does, with torch's own lock.

A process that is killed meanwhile leaves the lock, for which all later ones wait for ever. So this
host has a folder of its own for what is compiled, where a lock that no process has open is a dead
one's. A folder that TORCH_EXTENSIONS_DIR names stays, with its locks: other hosts may share it.
"""

import fcntl
import glob
import os
import platform
import sys
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from r1trl.process.terminal import say

FOLDER = "TORCH_EXTENSIONS_DIR"
DEEPSPEED = "ACCELERATE_USE_DEEPSPEED"


def prepare_extensions() -> None:
    """Give what is compiled a folder of this host, and remove locks that the dead have left.

    Called by each rank before DeepSpeed is imported; without DeepSpeed nothing is done.
    """
    if os.environ.get(DEEPSPEED) != "true" or FOLDER in os.environ:
        return
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    python = f"py{sys.version_info.major}{sys.version_info.minor}"
    folder = cache / "torch_extensions" / f"{platform.node()}-{python}-torch{version('torch')}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_dead_locks(folder)
    except OSError as error:
        say(
            f"{folder}: cannot be written ({error.strerror}); torch compiles in a folder of its own"
        )
        return
    os.environ[FOLDER] = str(folder)


def remove_dead_locks(folder: Path) -> None:
    """Remove the locks in a folder of this host that no living process has open, and say so."""
    with (folder / "checked.lock").open("w") as checking:
        fcntl.flock(checking, fcntl.LOCK_EX)  # no rank takes a lock while another looks
        for lock in folder.glob("*/lock"):
            if not _has_open(lock):
                say(f"{lock}: a process that was ended while it compiled left it; it is removed")
                lock.unlink(missing_ok=True)


def _has_open(file: Path) -> bool:
    """Return True if a process of this host has a file open, or if that cannot be seen."""
    if not Path("/proc/self/fd").is_dir():
        return True
    for opened in glob.iglob("/proc/[0-9]*/fd/*"):
        with suppress(OSError):  # it has just been closed
            if os.path.samefile(opened, file):
                return True
    return False
