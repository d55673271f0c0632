"""Writing files and folders so that each is there whole or not at all, even if the power fails.

A file is written beside its place, flushed to the disk, and then renamed. Tests set
`hook.before`, which is called before every operation, to let the nth of them fail.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from r1trl.process.environment import hide
from r1trl.process.texts import whole

PART = ".part"  # the end of the name of what is not whole yet
BLOCK = 1 << 16  # bytes


@dataclass
class Hook:
    """What is called before each operation (write, rename, remove, sync) on a path."""

    before: Callable[[str, Path], None] | None = None

    def __call__(self, operation: str, path: Path) -> None:
        """Call it, if there is one."""
        if self.before:
            self.before(operation, path)


hook = Hook()


def write_text(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all."""
    with new_file(path) as part:
        part.write_text(written(text), encoding="utf-8", newline="\n")


def written(text: str) -> str:
    """Return a text as files have it: no secrets, and U+FFFD in place of half of a character."""
    return whole(hide(text))


def replace_text(path: Path, text: str) -> None:
    """Write a small file that is rewritten all the time: whole, without waiting for the disk.

    Raises OSError if there is no room; the file that is there stays.
    """
    part = path.with_name(path.name + PART)
    with _named(path):
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Yield the path to write a file to; it takes its place if the block ends without an error."""
    part = path.with_name(path.name + PART)
    with _named(path):
        hook("write", path)
        try:
            yield part
            sync(part)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        rename(part, path)


def rename(source: Path, target: Path) -> None:
    """Give a file or a folder another name, in place of a file of that name."""
    with _named(target):
        hook("rename", target)
        os.replace(source, target)
        sync(target.parent)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Let an error of the disk name a path: those of writing and flushing name none."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder to write to; it takes its place if the block ends without an error.

    A folder that is there already is replaced; a kill between leaves the old one, the new one, or
    none, never a mixture.
    """
    part = path.with_name(path.name + PART)
    shutil.rmtree(part, ignore_errors=True)
    with _named(path):
        hook("write", path)
        part.mkdir(parents=True)
        try:
            yield part
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        sync_tree(part)
        remove(path)
        rename(part, path)


def append_text(path: Path, text: str) -> None:
    """Append whole lines to a file of lines; one that a kill cut off before them is removed.

    If the disk has no room for all of the text, nothing is appended.
    """
    with _named(path):
        hook("write", path)
        with path.open("a+b") as stream:
            end = _end_of_lines(stream)
            stream.truncate(end)
            try:
                stream.write(written(text).encode())
                stream.flush()
            except OSError:
                os.truncate(path, end)
                raise


def _end_of_lines(stream: BinaryIO) -> int:
    """Return the position after the last whole line of a file."""
    end = stream.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - BLOCK)
        stream.seek(start)
        found = stream.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there, so that a kill leaves nothing that looks whole."""
    with _named(path):
        hook("remove", path)
        if path.is_dir() and not path.is_symlink():
            removed = path.with_name(f".{path.name}.removed")
            shutil.rmtree(removed, ignore_errors=True)
            os.replace(path, removed)
            shutil.rmtree(removed)
        else:
            path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Flush a file, or the names in a folder, to the disk."""
    hook("sync", path)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Flush all that is in a folder to the disk."""
    with _named(folder):
        for path in sorted(folder.rglob("*")):
            if not path.is_symlink():
                sync(path)
        sync(folder)
