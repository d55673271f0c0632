"""The modes of what a stage hands over: some libraries write weights that nobody else may read."""

import os
from pathlib import Path


def usual_modes(path: Path) -> None:
    """Let others read a file, or all that is in a folder, as far as the umask lets them."""
    mask = os.umask(0o077)
    os.umask(mask)
    for each in (path, *path.rglob("*")):
        if each.is_symlink() or each.stat().st_uid != os.geteuid():
            continue
        usual = 0o755 if each.is_dir() else 0o644
        each.chmod(each.stat().st_mode | usual & ~mask)
