"""Rows that rank 0 makes and all others read: nothing is loaded, rendered or tokenised twice."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from r1trl.stage.ranks import from_main, world_size
from r1trl.storage.shown import sizes_of, wait_for
from r1trl.storage.writing import new_folder

if TYPE_CHECKING:
    from datasets import Dataset


def made_once(name: str, make: "Callable[[], Dataset]", folder: Path) -> "Dataset":
    """Return the rows that a function returns on rank 0, on every process; a collective.

    `folder` is the data/ of a stage, which all nodes see. Rows that lie in files of it, as a cache
    of `datasets` does, are read from there; others are written to its .cache under `name` first.
    """
    if world_size() == 1:
        return make()
    made: list[Dataset] = []

    def told() -> tuple[dict[Path, int], str]:
        rows = make()
        if not _is_in_files(rows, folder):
            rows = _written(rows, folder / ".cache" / name)
        made.append(rows)
        return sizes_of(_files(rows)), rows._fingerprint

    sizes, fingerprint = from_main(told)
    if made:
        return made[0]
    wait_for(sizes)
    rows = _read(list(sizes))
    rows._fingerprint = fingerprint
    return rows


def _files(rows: "Dataset") -> list[Path]:
    return [Path(file["filename"]).absolute() for file in rows.cache_files]


def _is_in_files(rows: "Dataset", folder: Path) -> bool:
    """Return True if files in a folder have exactly these rows."""
    files, shared = _files(rows), folder.resolve()
    if not files or rows._indices is not None:
        return False
    if not all(path.resolve().is_relative_to(shared) for path in files):
        return False
    whole = _read(files)
    return bool(len(whole) == len(rows) and whole.features == rows.features)


def _written(rows: "Dataset", folder: Path) -> "Dataset":
    from datasets import Dataset

    with new_folder(folder) as part:
        rows.save_to_disk(str(part))
    return Dataset.load_from_disk(str(folder), keep_in_memory=False)


def _read(files: list[Path]) -> "Dataset":
    from datasets import Dataset, concatenate_datasets

    return concatenate_datasets([Dataset.from_file(str(file)) for file in files])
