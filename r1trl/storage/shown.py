"""What another machine has written to a shared disk, which this one may see a little later.

An NFS client believes for up to a minute what it has seen of a folder; when the folder is opened,
it asks the server again.
"""

import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from r1trl.errors import StageError

PATIENCE = 60.0  # seconds
TICK = 0.5


def sizes_of(paths: Iterable[Path]) -> dict[Path, int]:
    """Return the sizes of files in bytes, for `wait_for` on other machines."""
    return {path: path.stat().st_size for path in paths}


def wait_for(sizes: Mapping[Path, int], patience: float = PATIENCE) -> None:
    """Return once files that others have written are here, of these sizes.

    Raises StageError if one is not after so many seconds.
    """
    end = time.monotonic() + patience
    waiting = {path: size for path, size in sizes.items() if _size(path) != size}
    while waiting:
        for folder in {path.parent for path in waiting}:
            _look_again(folder)
        waiting = {path: size for path, size in waiting.items() if _size(path) != size}
        if waiting and time.monotonic() > end:
            raise StageError(_missing(*next(iter(waiting.items())), patience))
        if waiting:
            time.sleep(TICK)


def _look_again(folder: Path) -> None:
    """Open a folder, or the first above it that is there."""
    for each in (folder, *folder.parents):
        with suppress(OSError):
            os.listdir(each)
            return


def _size(path: Path) -> int | None:
    with suppress(OSError):
        return path.stat().st_size
    return None


def _missing(path: Path, size: int, patience: float) -> str:
    now = _size(path)
    has = "is not there" if now is None else f"has {now} bytes"
    return (
        f"{path}: another process has written {size} bytes, and {patience:g} s later the file "
        f"{has} here; all nodes of a launch need one shared disk"
    )
