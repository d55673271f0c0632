"""Small disks in memory, which can be full or read-only; they need root."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SIZE = "600m"


@contextmanager
def disk(folder: Path, wanted: bool) -> Iterator[None]:
    """Mount a disk on a folder, which is made, if it is wanted."""
    folder.mkdir(exist_ok=True)
    if not wanted:
        yield
        return
    mount(folder, f"size={SIZE}")
    try:
        yield
    finally:
        subprocess.run([_program("umount"), "-l", folder], check=True)


def remount(folder: Path, how: str) -> None:
    """Make a mounted disk read-only, `ro`, or writable, `rw`."""
    mount(folder, f"remount,{how}")


def mount(folder: Path, options: str) -> None:
    """Mount a disk in memory on a folder."""
    command = [_program("mount"), "-t", "tmpfs", "-o", options, "tmpfs", folder]
    subprocess.run(command, check=True)


def _program(name: str) -> str:
    return shutil.which(name) or name
