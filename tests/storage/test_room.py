"""A disk that takes no more files is told in a sentence, whichever library ran into it."""

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from machine import require

from r1trl.errors import StageError
from r1trl.storage import room
from r1trl.storage.room import disk_problem, explained, full
from r1trl.storage.writing import append_text, new_folder, write_text

CONTINUES = ", and the same command continues"


def mounted(folder: Path, *options: str) -> bool:
    """Mount a disk of 256 KiB in memory on a folder; return False if that is not allowed."""
    command = ["mount", "-t", "tmpfs", "-o", ",".join(("size=256k", *options)), "tmpfs", folder]
    return os.geteuid() == 0 and not subprocess.run(command, capture_output=True).returncode


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with room for 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    require("mount", mounted(folder), "no right to mount a disk")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)  # torch keeps its file open


def raised_by(write: Callable[[Path], Any], path: Path) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - each library has its own
        write(path)
    return caught.value


def with_torch(path: Path) -> None:
    import torch

    torch.save(torch.zeros(1 << 18), path)


def with_safetensors(path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(1 << 18)}, path)


def with_tokenizers(path: Path) -> None:
    from tokenizers import Tokenizer, models

    words = {f"word {i}" * 20: i for i in range(1 << 13)}
    Tokenizer(models.WordLevel(words, "word 0")).save(str(path))


def with_arrow(path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"row": os.urandom(1 << 18).hex().split("0")}), path)


def with_datasets(path: Path) -> None:
    from datasets import Dataset

    Dataset.from_dict({"row": [os.urandom(1 << 18).hex()]}).to_parquet(path)


def with_r1trl(path: Path) -> None:
    write_text(path, "x" * (1 << 20))


def in_a_folder(path: Path) -> None:
    with new_folder(path) as part:
        (part / "weights").write_bytes(bytes(1 << 20))


LIBRARIES = (
    *(with_torch, with_safetensors, with_tokenizers, with_arrow, with_datasets),
    *(with_r1trl, in_a_folder),
)


@pytest.mark.parametrize("write", LIBRARIES, ids=lambda write: write.__name__)
def test_a_full_disk_is_told_whichever_library_ran_into_it(
    write: Callable[[Path], Any], disk: Path
) -> None:
    sentence = disk_problem(raised_by(write, disk / "file"), disk)
    assert sentence
    assert sentence.startswith(str(disk))
    assert "cannot be written: there is no room (" in sentence
    assert f" of 256.0 KiB are free on the disk of {disk}" in sentence
    assert sentence.endswith(f"; make room{CONTINUES}")


def test_lines_that_have_no_room_leave_the_file_as_it_was(disk: Path) -> None:
    path = disk / "rows.jsonl"
    append_text(path, "one\n")
    error = raised_by(lambda path: append_text(path, "x" * (1 << 20)), path)
    assert path.read_text() == "one\n"
    assert str(disk_problem(error, disk)).startswith(f"{path}: cannot be written: there is no room")


def test_a_disk_that_holds_no_further_file_says_so(tmp_path: Path) -> None:
    require("mount", mounted(tmp_path, "nr_inodes=2"), "no right to mount a disk")
    try:
        (tmp_path / "one").touch()
        assert "there is no room (it holds as many files as it can" in str(full(tmp_path))
    finally:
        subprocess.run(["umount", "-l", tmp_path], check=True)


def test_a_disk_mounted_read_only_says_so(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    error = raised_by(with_r1trl, disk / "result.json")
    assert disk_problem(error, disk) == (
        f"{disk}/result.json: cannot be written: the disk is read-only; mount it for writing, or "
        f"choose another runs_dir=…{CONTINUES}"
    )


def test_a_folder_that_somebody_has_removed_is_named(tmp_path: Path) -> None:
    error = raised_by(with_r1trl, tmp_path / "stages" / "zero" / "result.json")
    assert (
        "zero/result.json: cannot be written: its folder has been removed; leave it there"
        in str(disk_problem(error, tmp_path / "stages"))
    )


def test_a_name_that_is_too_long_and_a_file_in_the_place_of_a_folder_are_told(
    tmp_path: Path,
) -> None:
    long = raised_by(with_r1trl, tmp_path / ("x" * 300))
    assert "the name is too long for this disk; choose a shorter name=…" in str(
        disk_problem(long, tmp_path)
    )
    (tmp_path / "runs").touch()
    inside = raised_by(with_r1trl, tmp_path / "runs" / "x")
    assert "a file is in the place of a folder" in str(disk_problem(inside, tmp_path))


@pytest.mark.parametrize("number", room.REASONS)
def test_the_reason_is_found_in_the_words_of_a_library_and_behind_another_error(
    number: int, tmp_path: Path
) -> None:
    what = room.REASONS[number][0]
    in_words = RuntimeError(f"I/O error: {os.strerror(number)} (os error {number})")
    assert what in str(disk_problem(in_words, tmp_path))
    try:
        try:
            raise OSError(number, os.strerror(number), "weights.safetensors.part")
        except OSError as first:
            raise StageError(f"stages.zero.transitions.mine: it failed: {first}") from first
    except StageError as error:
        sentence = str(explained(error, tmp_path))
    assert sentence.startswith("stages.zero.transitions.mine: it failed: [Errno ")
    assert f"; weights.safetensors: cannot be written: {what}" in sentence


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("a bug"),
        FileNotFoundError(errno.ENOENT, "no such file", "gold.jsonl"),
        ConnectionRefusedError(errno.ECONNREFUSED, "refused"),
        BrokenPipeError(errno.EPIPE, "broken pipe"),
    ],
)
def test_another_error_is_not_laid_to_the_disk(error: Exception, tmp_path: Path) -> None:
    assert disk_problem(error, tmp_path) is None
    assert explained(StageError("stages.zero: it failed"), tmp_path) == "stages.zero: it failed"
    assert not list(tmp_path.iterdir())
