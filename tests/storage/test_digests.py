"""Digests of whole files and folders, remembered by the state of the files on the disk."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from r1trl.errors import R1trlError
from r1trl.storage.digests import RECENT, Digests, digest_of

SIZE = 3 << 20  # more than is read at once


def write_tree(folder: Path) -> Path:
    """Write a folder of files."""
    (folder / "sub").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "sub" / "weights").write_bytes(bytes(SIZE))
    return folder


def flip(path: Path, at: int) -> None:
    """Change a byte in the middle of a file, and leave its size and time as they were."""
    times = path.stat()
    with path.open("r+b") as stream:
        stream.seek(at)
        stream.write(b"x")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


CHANGES: dict[str, Callable[[Path], object]] = {
    "the first byte": lambda tree: flip(tree / "sub" / "weights", 0),
    "a byte in the middle": lambda tree: flip(tree / "sub" / "weights", SIZE // 2),
    "the size": lambda tree: os.truncate(tree / "sub" / "weights", SIZE + 1),
    "a name": lambda tree: (tree / "sub" / "weights").rename(tree / "sub" / "other"),
    "a new file": lambda tree: (tree / "new").write_text(""),
    "a file that is gone": lambda tree: (tree / "config.json").unlink(),
    "a small file": lambda tree: (tree / "config.json").write_text("[]"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_the_digest_of_a_folder_changes_with_every_byte_and_name(what: str, tmp_path: Path) -> None:
    tree, digests = write_tree(tmp_path / "model"), Digests(tmp_path / "digests.json")
    before = digests.of(tree)
    CHANGES[what](tree)
    assert digests.of(tree) != before == Digests().of(write_tree(tmp_path / "again"))


def test_hidden_files_are_no_part_of_a_folder(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "model")
    before = Digests().of(tree)
    (tree / ".cache").mkdir()
    (tree / ".cache" / "downloaded").write_text("today")
    (tree / ".gitattributes").write_text("")
    assert Digests().of(tree) == before


def test_the_digest_of_a_file_is_its_sha256_whatever_its_name(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"abc")
    assert Digests().of(path) == hashlib.sha256(b"abc").hexdigest()


def test_a_pattern_has_a_digest_of_the_files_that_match(tmp_path: Path) -> None:
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_text("1")
    before = Digests().of(tmp_path / "*.jsonl")
    (tmp_path / "b.jsonl").write_text("2")
    assert Digests().of(tmp_path / "*.jsonl") != before


@pytest.mark.parametrize("name", ["nowhere", "no*where"])
def test_what_does_not_exist_has_no_digest(name: str, tmp_path: Path) -> None:
    with pytest.raises(R1trlError, match="where does not exist"):
        Digests().of(tmp_path / name)


def test_a_link_to_nothing_is_named(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").symlink_to("/gone")
    with pytest.raises(R1trlError, match="weights is a link to /gone, which does not exist"):
        Digests().of(tmp_path / "model")


@pytest.fixture
def old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file in a run's folder that is old enough to be remembered."""
    monkeypatch.setattr("r1trl.storage.digests.RECENT", -RECENT)
    path = tmp_path / "run" / "weights"
    path.parent.mkdir()
    path.write_text("abc")
    return path


def test_a_file_that_is_as_it_was_is_not_read_again(old_file: Path) -> None:
    digests = Digests(old_file.parent / "digests.json")
    digests.of(old_file)
    digests.save()
    digests.known["weights"][-1], digests.changed = "remembered", True
    digests.save()
    assert Digests(digests.file).of(old_file) == "remembered"
    flip(old_file, 1)
    assert Digests(digests.file).of(old_file) == hashlib.sha256(b"axc").hexdigest()


def test_what_is_remembered_moves_with_the_run(old_file: Path, tmp_path: Path) -> None:
    digests = Digests(old_file.parent / "digests.json")
    digests.of(old_file)
    digests.save()
    moved = old_file.parent.rename(tmp_path / "moved")
    assert set(Digests(moved / "digests.json").known) == {"weights"}


def test_a_file_that_was_written_just_now_is_not_remembered(tmp_path: Path) -> None:
    path, digests = tmp_path / "weights", Digests(tmp_path / "digests.json")
    path.write_text("abc")
    digests.of(path)
    assert digests.known == {}


def test_a_memory_with_a_wrong_bit_is_none(old_file: Path) -> None:
    digests = Digests(old_file.parent / "digests.json")
    right = digests.of(old_file)
    digests.save()
    assert digests.file
    text = digests.file.read_text()
    digests.file.write_text(
        text.replace(right, right.replace(right[7], "0" if right[7] != "0" else "1"))
    )
    assert Digests(digests.file).of(old_file) == right and text != digests.file.read_text()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 1}', "\x00"])
def test_a_damaged_memory_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "digests.json").write_text(text)
    (tmp_path / "a").write_text("abc")
    digests = Digests(tmp_path / "digests.json")
    assert digests.of(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()


def test_the_digest_of_a_value_depends_on_values_and_not_on_the_order_of_keys() -> None:
    assert digest_of({"a": 1, "b": [1.5, None, "é"]}) == digest_of({"b": [1.5, None, "é"], "a": 1})
    assert digest_of({1: "x"}) == digest_of({"1": "x"})
    assert len({digest_of(each) for each in (1, 1.0, "1", True, None, [1], {"1": 1})}) == 7
