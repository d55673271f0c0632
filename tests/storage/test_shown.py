"""Files of other machines: waited for on a shared disk that shows them late."""

import threading
from pathlib import Path

import pytest

from r1trl.errors import StageError
from r1trl.storage.shown import sizes_of, wait_for


def test_a_file_that_shows_late_or_in_parts_is_waited_for(tmp_path: Path) -> None:
    late, growing = tmp_path / "late", tmp_path / "growing"
    growing.write_text("ab")
    timers = [
        threading.Timer(0.2, late.write_text, ["abc"]),
        threading.Timer(0.4, growing.write_text, ["abcd"]),
    ]
    for timer in timers:
        timer.start()
    wait_for({late: 3, growing: 4}, 20)
    assert sizes_of([late, growing]) == {late: 3, growing: 4}


@pytest.mark.parametrize(("text", "has"), [(None, "is not there"), ("ab", "has 2 bytes")])
def test_one_that_never_shows_is_named(text: str | None, has: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    if text:
        path.write_text(text)
    with pytest.raises(StageError) as raised:
        wait_for({path: 3}, 0.2)
    assert str(raised.value) == (
        f"{path}: another process has written 3 bytes, and 0.2 s later the file {has} here; all "
        "nodes of a launch need one shared disk"
    )


def test_nothing_is_waited_for_without_files() -> None:
    wait_for({}, 0)
