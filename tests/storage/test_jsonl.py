"""JSON-lines files hold any text, and a line that was cut off is no row."""

from pathlib import Path

import pytest

from r1trl.storage.jsonl import NewRows, append_rows, read_rows, write_rows


def test_texts_with_other_line_separators_are_read_as_they_were_written(tmp_path: Path) -> None:
    rows = [{"completion": f"a{mark}b{{}}{mark}"} for mark in "\n\r\v\f\x1c\x85\u2028\u2029"]
    write_rows(rows, tmp_path / "rows.jsonl")
    assert read_rows(tmp_path / "rows.jsonl") == rows


def test_a_line_that_was_cut_off_is_no_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write_rows([{"step": 1}], path)
    for rest in ('{"step": 2', '{"step": 2}'):
        path.write_text(f'{{"step": 1}}\n{rest}', encoding="utf-8")
        assert read_rows(path) == [{"step": 1}]
    assert read_rows(tmp_path / "none.jsonl") == []


def test_rows_are_appended_on_a_line_of_their_own_after_one_that_was_cut_off(
    tmp_path: Path,
) -> None:
    path = tmp_path / "rows.jsonl"
    append_rows([{"step": 1}], path)
    path.write_text(f'{path.read_text()}{{"step": 2, "text": "', encoding="utf-8")
    append_rows([{"step": 2}], path)
    assert read_rows(path) == [{"step": 1}, {"step": 2}]


@pytest.mark.parametrize(
    "line", [b'{"step: 2}', b'{"stfp": 2}', b'{"step": "2"}', b"[2}", b'{"step"\xff 2}']
)
def test_a_damaged_line_is_left_out_and_told(
    line: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"step": 1}\n' + line + b'\n{"step": 3}\n')
    assert read_rows(path, numbers=("step",)) == [{"step": 1}, {"step": 3}]
    assert capsys.readouterr().out == f"{path}: damaged lines are left out: 2\n"


def test_new_rows_are_those_since_the_last_look(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    new = NewRows(path)
    assert new.look() == []
    append_rows([{"step": 1}, {"step": 2}], path)
    assert new.look() == [{"step": 1}, {"step": 2}]
    with path.open("a") as file:
        file.write('{"step": 3, "te')
    assert new.look() == []
    with path.open("a") as file:
        file.write('xt": "\u2028"}\n')
    assert new.look() == [{"step": 3, "text": "\u2028"}]
    assert new.look() == []
    write_rows([{"step": 1}], path)  # a stage that continues from an earlier checkpoint
    assert new.look() == [{"step": 1}]


def test_the_first_look_at_a_long_file_passes_over_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    append_rows([{"step": step} for step in range(1000)], path)
    rows = NewRows(path, tail=100).look()
    assert 1 < len(rows) < 10 and rows[-1] == {"step": 999}
