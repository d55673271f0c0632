"""Why a disk takes no more files, in one sentence that says what to do.

Libraries hide the reason: safetensors raises `SafetensorError("… (os error 28)")`, torch a
RuntimeError of its writer, and many are raised from another error. So it is looked for in the whole
chain of an error, in its words, and then the disk is asked.
"""

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from r1trl.errors import R1trlError
from r1trl.storage.writing import PART

ASKED = 1 << 20  # bytes that a disk must take, or it is full
NUMBER = re.compile(r"\b(?:os error|errno) (\d+)\b", re.I)  # in the words of Rust and of Arrow
ROOM, OTHER = "make room", "choose another runs_dir=…"
# what is wrong, and what to do
REASONS: Mapping[int, tuple[str, str]] = {
    errno.ENOSPC: ("there is no room", ROOM),
    errno.EDQUOT: ("your quota on this disk is used up", ROOM),
    errno.EFBIG: ("the file is larger than is allowed here", "raise the limit (ulimit -f)"),
    errno.EROFS: ("the disk is read-only", f"mount it for writing, or {OTHER}"),
    errno.EACCES: ("you have no permission", f"give it (chmod, chown), or {OTHER}"),
    errno.EPERM: ("you have no permission", f"give it (chmod, chown), or {OTHER}"),
    errno.ENAMETOOLONG: ("the name is too long for this disk", "choose a shorter name=…"),
    errno.ENOTDIR: ("a file is in the place of a folder", f"move it, or {OTHER}"),
    errno.EIO: ("the disk cannot read or write", "look after the disk"),
    errno.ESTALE: ("the disk of another machine has gone", "mount it again"),
}
GONE = ("its folder has been removed", "leave it there")


def explained(error: BaseException, folder: Path) -> str | None:
    """Return an error as a sentence: r1trl's own, or one of the disk; None if it is neither.

    `folder` is the one that was being written to.
    """
    problem = disk_problem(error, folder)
    if isinstance(error, R1trlError):
        return f"{error}; {problem}" if problem else str(error)
    return problem


def disk_problem(error: BaseException, folder: Path) -> str | None:
    """Return in which way the disk is the reason of an error, and what to do; None: it is not."""
    # One with a number also names the file; the words of those around it may repeat the number.
    chain = sorted(_chain(error), key=lambda each: getattr(each, "errno", None) is None)
    for each in chain:
        path = _path(each, folder)
        if reason := _reason(each, path, folder):
            return _sentence(reason, path)
    return full(folder)


def full(folder: Path) -> str | None:
    """Return why nothing can be written to a folder; None if it takes another MiB."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            file.write(bytes(ASKED))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        reason = _reason(error, folder, folder)
        return _sentence(reason, folder) if reason else None
    return None


def free(path: Path) -> str:
    """Return how much room there is on the disk of a path, which need not exist."""
    there = _there(path)
    usage, files = shutil.disk_usage(there), os.statvfs(there)
    if files.f_files and not files.f_favail:
        return "it holds as many files as it can"
    return f"{_size(usage.free)} of {_size(usage.total)} are free"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those that it was raised from."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        yield error
        seen.append(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _path(error: BaseException, folder: Path) -> Path:
    name = getattr(error, "filename", None)
    return Path(name.removesuffix(PART)) if isinstance(name, str) and name else folder


def _reason(error: BaseException, path: Path, folder: Path) -> tuple[str, str] | None:
    """Return what an error says about the disk, and what to do."""
    number = getattr(error, "errno", None)
    if number is None and (found := NUMBER.search(str(error))):
        number = int(found[1])
    if number == errno.ENOENT:
        inside = path == folder or folder in path.parents
        return GONE if (inside and not path.parent.exists()) or not folder.exists() else None
    return REASONS.get(number) if isinstance(number, int) else None


def _sentence(reason: tuple[str, str], path: Path) -> str:
    what, advice = reason
    where = f" ({free(path)} on the disk of {_there(path)})" if advice == ROOM else ""
    return f"{path}: cannot be written: {what}{where}; {advice}, and the same command continues"


def _there(path: Path) -> Path:
    """Return the deepest folder of a path that exists."""
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if folder.is_dir())


def _size(count: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
