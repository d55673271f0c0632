"""A lock that a killed process has left does not keep later ones waiting."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from r1trl.process.extensions import DEEPSPEED, FOLDER, prepare_extensions, remove_dead_locks

# Takes torch's lock as it does before it compiles, and is killed or goes on.
TAKES = """
import sys, time
from torch.utils.file_baton import FileBaton
assert FileBaton(sys.argv[1]).try_acquire()
print("taken", flush=True)
time.sleep(60)
"""


def test_the_lock_of_a_killed_process_is_removed_and_that_of_a_living_one_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    locks = [tmp_path / name / "lock" for name in ("dead", "living")]
    processes = []
    for lock in locks:
        lock.parent.mkdir()
        command = [sys.executable, "-c", TAKES, str(lock)]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
    for process in processes:
        assert process.stdout and process.stdout.readline() == "taken\n"
    try:
        processes[0].kill()
        processes[0].wait()
        remove_dead_locks(tmp_path)
        assert [lock.exists() for lock in locks] == [False, True]
        assert f"{locks[0]}: a process that was ended while" in capsys.readouterr().out
    finally:
        processes[1].kill()
        processes[1].wait()


def test_only_deepspeed_gets_a_folder_of_this_host_and_a_named_folder_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", {"XDG_CACHE_HOME": str(tmp_path)})
    prepare_extensions()
    assert FOLDER not in os.environ
    os.environ[DEEPSPEED] = "true"
    prepare_extensions()
    own = Path(os.environ[FOLDER])
    assert own.parent == tmp_path / "torch_extensions" and "torch2." in own.name
    (own / "op").mkdir()
    (own / "op" / "lock").touch()
    prepare_extensions()
    assert (own / "op" / "lock").exists(), "it is the user's folder now"


def test_a_cache_that_cannot_be_written_is_told_and_left_to_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "torch_extensions").write_text("a file where the folder would be")
    monkeypatch.setattr(os, "environ", {"XDG_CACHE_HOME": str(tmp_path), DEEPSPEED: "true"})
    prepare_extensions()
    assert FOLDER not in os.environ
    assert "torch compiles in a folder of its own" in capsys.readouterr().out
