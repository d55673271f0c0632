"""Marks: a file, written last, that names the others of a folder with their digests.

A folder is whole if its mark is there, and every file that the mark names is what it was.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from r1trl.stage.ranks import barrier, from_all, rank, world_size
from r1trl.storage.digests import Digests, digest_of
from r1trl.storage.shown import sizes_of, wait_for
from r1trl.storage.writing import write_text

MARK = "complete.json"  # of a checkpoint
PLAIN = "transformers"  # a form: each process has the whole model
PREFIX = "checkpoint-"  # of the names of checkpoints, before the step
NAMED = rf"{PREFIX}(0|[1-9][0-9]*)"
FILE_MODE, FOLDER_MODE = 0o644, 0o755


@dataclass(frozen=True)
class Mark:
    """The mark of a checkpoint.

    `identity` is what the stage's result belongs to; `done` says that its last step is made,
    `reason` why it was the last one, if that was early; `form` is by what it was saved, by so many
    `processes`; `files` maps names relative to the checkpoint to SHA-256.
    """

    step: int
    identity: Mapping[str, Any] = field(default_factory=dict)
    done: bool = False
    reason: str | None = None
    form: str = PLAIN
    processes: int = 1
    files: Mapping[str, str] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write the mark of a checkpoint: from then on it is whole."""
        write_proof(folder / MARK, asdict(self))


def read_mark(folder: Path) -> Mark | None:
    """Return the mark of a checkpoint; None if there is none, or it is damaged."""
    try:
        return Mark(**read_proof(folder / MARK))
    except (OSError, ValueError, TypeError):
        return None


def write_proof(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file that names its own digest, so that damage to it is seen."""
    proof = {"digest": _digest_of(content), **content}
    write_text(path, json.dumps(proof, indent=1) + "\n")


def read_proof(path: Path) -> dict[str, Any]:
    """Return the content of a file of `write_proof`; raise OSError or ValueError if damaged."""
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict) or content.pop("digest", "") != _digest_of(content):
        raise ValueError(f"{path} is not what was written")
    return content


def _digest_of(content: Mapping[str, Any]) -> str:
    return digest_of(content)


def own_checkpoints(folder: Path) -> dict[int, Path]:
    """Return the checkpoints in a folder, whole or not, by their steps in order.

    Other people's are left out: checkpoint-best, and copies.
    """
    return {step: path for step, path in _numbered(folder).items() if not _is_copy(step, path)}


def copies(folder: Path) -> list[Path]:
    """Return folders with the name of a checkpoint, and the mark of one of another step."""
    return [path for step, path in _numbered(folder).items() if _is_copy(step, path)]


def _numbered(folder: Path) -> dict[int, Path]:
    names = {path: re.fullmatch(NAMED, path.name) for path in folder.glob(f"{PREFIX}*")}
    folders = {p: found for p, found in names.items() if p.is_dir() and not p.is_symlink()}
    return dict(sorted((int(found[1]), path) for path, found in folders.items() if found))


def _is_copy(step: int, path: Path) -> bool:
    mark = read_mark(path)
    return mark is not None and mark.step != step


def marked_steps(folder: Path) -> list[int]:
    """Return the steps of the checkpoints in a folder that have a mark, in order."""
    return [step for step, path in own_checkpoints(folder).items() if (path / MARK).exists()]


def names_in(folder: Path) -> list[str]:
    """Return the names of the files in a folder, relative to it, in order; its mark is left out."""
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in names if name != MARK)


def digests(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the SHA-256 of files of a folder by their names."""
    return Digests().of_files({name: folder / name for name in names})


def digests_by_all(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of a folder's files, of which each process reads some; a collective.

    A process names what it sees: a shared disk may show it later what others have written.
    """
    barrier()
    seen = from_all(sizes_of(folder / name for name in names_in(folder)))
    sizes = {path: size for part in seen for path, size in part.items()}
    own = {path: sizes[path] for path in sorted(sizes)[rank() :: world_size()]}
    wait_for(own if rank() else sizes)  # rank 0 marks all of them
    read = digests(folder, [path.relative_to(folder).as_posix() for path in own])
    return dict(sorted(item for part in from_all(read) for item in part.items()))


def damage(folder: Path, files: Mapping[str, str]) -> str | None:
    """Return what is wrong with a folder whose files had these digests; None: nothing is."""
    missing = [name for name in files if not (folder / name).is_file()]
    if missing:
        return f"{missing[0]} is missing"
    try:
        now = digests(folder, files)
    except OSError as error:
        return f"{error.filename} cannot be read ({error.strerror})"
    changed = [name for name, digest in files.items() if now[name] != digest]
    return f"{changed[0]} is not what was written" if changed else None


def make_readable(folder: Path) -> None:
    """Let everybody read a folder and what is in it: weights are written for their owner alone."""
    folder.chmod(FOLDER_MODE)
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(FOLDER_MODE if path.is_dir() else FILE_MODE)
