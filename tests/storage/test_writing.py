"""Files and folders are there whole or not at all, whichever operation fails."""

import errno
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from r1trl.storage.writing import (
    append_text,
    hook,
    new_folder,
    remove,
    rename,
    sync_tree,
    write_text,
)


@pytest.fixture
def fail_at() -> Iterator[Callable[[int], None]]:
    """Return a function that lets the nth operation from now on fail, counted from 0."""

    def fail_at(number: int) -> None:
        left = iter(range(number))

        def before(operation: str, path: Path) -> None:
            if next(left, None) is None:
                raise OSError(errno.ENOSPC, f"no room for {operation} of {path}")

        hook.before = before

    yield fail_at
    hook.before = None


def content(folder: Path) -> dict[str, str]:
    """Return the files that readers see below a folder, with their content."""
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and not any(".part" in p or ".removed" in p for p in path.parts)
    }


def test_a_file_is_there_whole_or_not_at_all_whichever_operation_fails(
    tmp_path: Path, fail_at: Callable[[int], None]
) -> None:
    path = tmp_path / "result.json"
    write_text(path, "old")
    for number in range(3):  # write, sync, rename; then the folder is flushed
        fail_at(number)
        with pytest.raises(OSError, match="no room"):
            write_text(path, "new")
        assert content(tmp_path) == {"result.json": "old"}
    hook.before = None
    write_text(path, "new")
    assert content(tmp_path) == {"result.json": "new"}


def test_a_folder_is_the_old_one_the_new_one_or_none_whichever_operation_fails(
    tmp_path: Path, fail_at: Callable[[int], None]
) -> None:
    for number in range(8):
        hook.before = None
        with new_folder(tmp_path / "model") as part:
            (part / "weights").write_text("old")
            (part / "config").write_text("old")
        fail_at(number)
        try:
            with new_folder(tmp_path / "model") as part:
                (part / "weights").write_text("new")
                (part / "config").write_text("new")
        except OSError:
            assert len(set(content(tmp_path).values())) in (0, 1)
            assert len(content(tmp_path)) in (0, 2)
    hook.before = None
    with new_folder(tmp_path / "model"):
        pass
    assert content(tmp_path) == {}


def test_a_folder_that_cannot_be_removed_wholly_does_not_look_whole(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_text("old")
    remove(tmp_path / "model")
    remove(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda path: write_text(path, "new"),
        lambda path: append_text(path, "new\n"),
        lambda path: rename(path.with_name("other"), path),
        remove,
        sync_tree,
    ],
)
def test_an_error_of_the_disk_that_names_no_file_names_the_one_that_is_changed(
    change: Callable[[Path], None], tmp_path: Path, fail_at: Callable[[int], None]
) -> None:
    fail_at(0)
    with pytest.raises(OSError, match="no room") as raised:
        change(tmp_path / "rows")
    assert raised.value.filename == str(tmp_path / "rows")
