"""A worker and a command on a disk that takes no more say so in a sentence, and fail."""

import errno
import os
import shutil
import sys
from pathlib import Path

import pytest
from machine import require

from r1trl import cli
from r1trl.run.worker import run_stage


def without_room(folder: Path) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder / "rollouts.parquet"))


def hidden(folder: Path) -> None:
    """Fail as torch does, whose error says nothing of the disk, and which says so."""
    shutil.rmtree(folder)
    raise RuntimeError("PytorchStreamWriter failed writing file data/0")


def test_a_worker_without_room_says_so_without_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_stage(tmp_path, without_room) == 1
    said = capsys.readouterr().err
    assert f"error: {tmp_path}/rollouts.parquet: cannot be written: there is no room (" in said
    assert "make room, and the same command continues" in said
    assert "Traceback" not in said


def test_the_disk_is_asked_when_a_library_does_not_say_why_it_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "stage"
    folder.mkdir()
    assert run_stage(folder, hidden) == 1
    said = capsys.readouterr().err
    assert f"error: {folder}: cannot be written: its folder has been removed" in said
    assert "PytorchStreamWriter failed" in said, "the traceback stays"


def test_a_worker_whose_log_has_no_room_either_fails_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require("/dev/full", Path("/dev/full").exists())
    with open("/dev/full", "w", buffering=1) as log:
        monkeypatch.setattr(sys, "stderr", log)
        assert run_stage(tmp_path, without_room) == 1
        monkeypatch.undo()
        os.dup2(os.open(os.devnull, os.O_WRONLY), log.fileno())


def test_a_command_that_cannot_write_its_run_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "runs"
    runs.touch()
    chosen = ["recipe=zero", "scale=tiny", "preflight=false", f"runs_dir={runs}", "name=x"]
    monkeypatch.setattr(sys, "argv", ["r1trl", "run", *chosen])
    assert cli.main() == 1
    said = capsys.readouterr().err
    assert (
        f"error: {runs}/x: cannot be written: a file is in the place of a folder; move it" in said
    )
    assert "Traceback" not in said
