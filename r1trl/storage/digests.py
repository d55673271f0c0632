"""SHA-256 of files, folders and values; those of files are remembered by their state on the disk.

A file's digest is of the whole file. It is taken from `digests.json` if the file's size, times and
inode are those of then, and if it was old enough then to get another time stamp when it changes.
"""

import glob
import hashlib
import json
import os
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from r1trl.errors import R1trlError
from r1trl.storage.writing import write_text

NAME = "digests.json"
THREADS = 8  # hashing leaves the interpreter's lock; more threads than this wait for the disk
RECENT = 2 * 10**9  # nanoseconds: within them a change may leave a time stamp as it is


def digest_of(value: Any) -> str:
    """Return the SHA-256 of a value of mappings, lists and what JSON holds; order of keys aside."""
    text = json.dumps(_plain(value), sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def files_in(folder: Path) -> dict[str, Path]:
    """Return the files in a folder by their names relative to it; hidden ones are left out."""
    names = sorted(path for path in folder.rglob("*") if not path.is_dir())
    files = {path.relative_to(folder).as_posix(): path for path in names}
    return {name: p for name, p in files.items() if not f"/{name}".count("/.")}


class Digests:
    """Digests of files, remembered in a file, or not at all without one."""

    def __init__(self, file: Path | None = None) -> None:
        self.file = file
        self.known: dict[str, list[Any]] = _read(file) if file else {}
        self.changed = False

    def of(self, path: Path) -> str:
        """Return the digest of a file, or of a folder's names and contents, or of a pattern's.

        Raises R1trlError if there is none, or one cannot be read.
        """
        if path.is_file():
            return self.of_files({"": path})[""]
        matching = {} if path.is_dir() else {p: Path(p) for p in glob.glob(str(path))}
        if not path.is_dir() and not matching:
            raise R1trlError(f"{path} does not exist")
        return digest_of(self.of_files(matching or files_in(path)))

    def of_files(self, files: Mapping[str, Path]) -> dict[str, str]:
        """Return the digest of each file, by the same names; several are read at once."""
        known = {name: self._known(path) for name, path in files.items()}
        missing = [path for name, path in files.items() if known[name] is None]
        if len(missing) > 1:
            with ThreadPoolExecutor(THREADS) as pool:
                hashed = iter(list(pool.map(self._hash, missing)))
        else:
            hashed = map(self._hash, missing)
        return {name: digest or next(hashed) for name, digest in known.items()}

    def save(self) -> None:
        """Write what is remembered, if the run's folder is there and something is new."""
        if self.file and self.changed and self.file.parent.is_dir():
            content = {"digest": digest_of(self.known), "files": self.known}
            write_text(self.file, json.dumps(content, indent=0) + "\n")
            self.changed = False

    def _known(self, path: Path) -> str | None:
        """Return a file's digest as it is remembered, if the file is as it was then."""
        if path.is_symlink() and not path.exists():
            raise R1trlError(f"{path} is a link to {os.readlink(path)}, which does not exist")
        known = self.known.get(self._key(path))
        return str(known[-1]) if known and known[:-1] == _state(path) else None

    def _hash(self, path: Path) -> str:
        """Read a file; remember its digest unless it may change without another time stamp."""
        before = _state(path)
        try:
            with path.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise R1trlError(f"{path} cannot be read: {error.strerror}") from error
        settled = time.time_ns() - max(before[1:3]) > RECENT
        if self.file and settled and _state(path) == before:
            self.known[self._key(path)], self.changed = [*before, digest], True
        return digest

    def _key(self, path: Path) -> str:
        """Return a file's name: relative to the run's folder if it is in it, so that it moves."""
        whole = os.path.abspath(path)
        run = os.path.abspath(self.file.parent) if self.file else ""
        inside = run and whole.startswith(f"{run}{os.sep}")
        return os.path.relpath(whole, run) if inside else whole


def _state(path: Path) -> list[int]:
    """Return what changes with a file: its size, the times of its content and state, its inode."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _read(file: Path) -> dict[str, list[Any]]:
    """Return what a file remembers; nothing if it is damaged, as all can be hashed again."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        known: dict[str, list[Any]] = content["files"]
        return known if content["digest"] == digest_of(known) else {}
    except (OSError, ValueError, LookupError, TypeError):
        return {}
