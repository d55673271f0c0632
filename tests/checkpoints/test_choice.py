"""From which checkpoint a stage continues: damages of every kind, other people's folders."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from r1trl.checkpoints.choice import Fit, choose_checkpoint
from r1trl.checkpoints.marks import MARK, Mark, digests, make_readable, names_in, own_checkpoints
from r1trl.errors import StageError

FILES = ("model.safetensors", "optimizer.pt", "r1trl_state.json", "part/states.pt")
IDENTITY = {"settings": "a", "inputs": {"data": "b"}}


def missing(files: Any, processes: int) -> str | None:
    """Return what a checkpoint lacks that needs an optimizer."""
    return None if "optimizer.pt" in files else "optimizer.pt"


def fit(**other: Any) -> Fit:
    """Return what checkpoints of the stage x must be."""
    usual = {"form": "transformers", "processes": 1, "missing": missing, "accepted": [IDENTITY]}
    return Fit("stages.x", **{**usual, **other})


def checkpoint(stage: Path, step: int, *names: str, **mark: Any) -> Path:
    """Write a whole checkpoint of a stage, with files of these names."""
    folder = stage / "checkpoints" / f"checkpoint-{step}"
    for name in names or FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{name} at {step}")
    own = {"step": step, "identity": IDENTITY, "files": digests(folder, names_in(folder)), **mark}
    Mark(**own).write(folder)
    return folder


def flip(path: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES: Mapping[str, Callable[[Path], Any]] = {
    "removed": lambda path: path.unlink(),
    "emptied": lambda path: path.write_text(""),
    "cut": lambda path: path.write_text(path.read_text()[:-1]),
    "a bit flipped": flip,
}


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_checkpoint_is_told_and_the_one_before_is_used(
    name: str, how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    older, newer = checkpoint(tmp_path, 9), checkpoint(tmp_path, 10)
    rows = [{"step": step, "seconds": 2.0 * step} for step in (9, 10)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    DAMAGES[how](newer / name)
    chosen = choose_checkpoint(tmp_path, fit())
    assert chosen and chosen[0] == older and chosen[1].step == 9
    told = "is missing" if how == "removed" else "is not what was written"
    assert capsys.readouterr().out.splitlines() == [
        f"checkpoint-10 is damaged ({name} {told}), and is removed",
        "training continues from checkpoint-9; 2 s of it are lost",
    ]
    assert not newer.exists(), "its step comes again"


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_mark_is_no_mark(
    how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = checkpoint(tmp_path, 3) / MARK
    path.write_text(path.read_text().strip())
    flipped = path.read_bytes().replace(b"{", b"z", 1)
    path.write_bytes(flipped) if how == "a bit flipped" else DAMAGES[how](path)
    assert choose_checkpoint(tmp_path, fit()) is None
    reason = "was cut short" if how == "removed" else f"is damaged ({MARK} cannot be read)"
    assert capsys.readouterr().out.splitlines() == [
        f"checkpoint-3 {reason}, and is removed",
        "training begins again; 0 s of it are lost",
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [('"step": 3', '"step": 2'), ('"settings": "a"', '"settings": "b"'), ('"files": {', '"f": {')],
)
def test_a_mark_that_still_reads_is_told_from_what_was_written(
    before: str, after: str, tmp_path: Path
) -> None:
    path = checkpoint(tmp_path, 3) / MARK
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))
    assert choose_checkpoint(tmp_path, fit()) is None and not path.parent.exists()


def test_checkpoints_go_by_their_steps_not_by_the_clock(tmp_path: Path) -> None:
    checkpoint(tmp_path, 100)
    checkpoint(tmp_path, 20)
    chosen = choose_checkpoint(tmp_path, fit())
    assert chosen and chosen[0].name == "checkpoint-100"


def test_what_a_kill_left_of_a_removed_checkpoint_goes(tmp_path: Path) -> None:
    whole = checkpoint(tmp_path, 5)
    shutil.copytree(whole, whole.parent / ".checkpoint-4.removed")
    assert choose_checkpoint(tmp_path, fit()) is not None
    assert [path.name for path in whole.parent.iterdir()] == ["checkpoint-5"]


def test_other_peoples_folders_are_neither_used_nor_removed(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path, 5).parent
    for name in ("checkpoint-best", "checkpoint-5-copy", "checkpoint-007", "checkpoint-90"):
        shutil.copytree(folder / "checkpoint-5", folder / name)
    shutil.copytree(folder / "checkpoint-5", folder / "kept")
    (folder / "checkpoint-12").write_text("a file")
    (folder / "checkpoint-13").symlink_to(folder / "checkpoint-5")
    before = {path.name for path in folder.iterdir()}
    assert list(own_checkpoints(folder)) == [5]
    chosen = choose_checkpoint(tmp_path, fit())
    assert chosen and chosen[0].name == "checkpoint-5"
    assert {path.name for path in folder.iterdir()} == before


def test_a_part_that_the_stage_needs_and_was_never_saved_is_damage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint(tmp_path, 3, "model.safetensors")
    assert choose_checkpoint(tmp_path, fit()) is None
    assert "checkpoint-3 is damaged (it has no optimizer.pt)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("mark", "problem"),
    [
        (
            {"identity": {"settings": "z", "plugins": {}}},
            "stages.x: checkpoint-3 was made with other inputs, plugins, settings; redo=x begins "
            "the stage again, keep=x continues from it",
        ),
        (
            {"form": "DeepSpeed ZeRO-3"},
            "stages.x.launch: checkpoint-3 was saved by DeepSpeed ZeRO-3, and transformers cannot "
            "load it; launch as before, or redo=x begins the stage again",
        ),
    ],
)
def test_a_checkpoint_that_is_not_of_this_stage_stops_it_and_stays(
    mark: Any, problem: str, tmp_path: Path
) -> None:
    folder = checkpoint(tmp_path, 3, **mark)
    with pytest.raises(StageError) as caught:
        choose_checkpoint(tmp_path, fit())
    assert str(caught.value) == problem and folder.exists()


def test_an_identity_that_the_user_keeps_is_accepted(tmp_path: Path) -> None:
    other = {"settings": "z"}
    checkpoint(tmp_path, 3, identity=other)
    assert choose_checkpoint(tmp_path, fit(accepted=[IDENTITY, other])) is not None


def test_deepspeed_wants_as_many_processes_and_others_do_not(tmp_path: Path) -> None:
    checkpoint(tmp_path, 3, processes=2)
    assert choose_checkpoint(tmp_path, fit()) is not None
    checkpoint(tmp_path, 3, processes=2, form="DeepSpeed ZeRO-3")
    with pytest.raises(StageError, match=r"launch\.processes: .* parts of 2 processes"):
        choose_checkpoint(tmp_path, fit(form="DeepSpeed ZeRO-3"))


def test_everybody_may_read_what_is_saved(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path, 3)
    for path in folder.rglob("*"):
        path.chmod(0o700)
    make_readable(folder)
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in folder.rglob("*")}
    assert modes["part"] == "0o755" and modes["optimizer.pt"] == modes["states.pt"] == "0o644"
