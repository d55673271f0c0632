"""Files of rows of every format, compression and form are read alike; broken ones name the line."""

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from datasets import Dataset

from r1trl.files.local import head_columns, local_rows
from r1trl.formats import is_local

ROWS = [{"prompt": f"What is {i} + 1?", "solution": f"{i + 1}"} for i in range(3)]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)
NUMBERED = [{**row, "solution": int(row["solution"])} for row in ROWS]


def zstd(path: Path, data: bytes) -> None:
    """Write a file that is compressed by Zstandard."""
    with pa.CompressedOutputStream(pa.OSFile(str(path), "wb"), "zstd") as stream:
        stream.write(data)


def arrow(path: Path, writer: Any) -> None:
    """Write the rows as an Arrow file, of the form of a file or a stream."""
    table = pa.Table.from_pylist(ROWS)
    with writer(str(path), table.schema) as stream:
        stream.write_table(table)


def text(content: str | bytes) -> Callable[[Path], None]:
    """Return a function that writes a content to a path."""
    data = content.encode() if isinstance(content, str) else content
    return lambda path: path.write_bytes(data) and None


FORMS: dict[str, Callable[[Path], Any]] = {
    "rows.jsonl": text(LINES),
    "UPPER.JSONL": text(LINES),
    "rows.ndjson": text(LINES),
    "lines.json": text(LINES),
    "bom.jsonl": text(b"\xef\xbb\xbf" + LINES.encode()),
    "windows.jsonl": text(LINES.replace("\n", "\r\n")),
    "blank.jsonl": text("\n" + LINES.replace("\n", "\n  \n\n")),
    "no newline at the end.jsonl": text(LINES.rstrip()),
    "has space & ü=1.jsonl": text(LINES),
    "brackets[0].jsonl": text(LINES),
    "list.json": text(json.dumps(ROWS)),
    "list.jsonl": text(json.dumps(ROWS)),
    "pretty.json": text(json.dumps(ROWS, indent=2)),
    "wrapped.json": text(json.dumps({"version": 1, "data": ROWS})),
    "wrapped by another name.json": text(json.dumps({"version": 1, "train": ROWS}, indent=1)),
    "columns.json": text(json.dumps(Dataset.from_list(ROWS).to_dict())),
    "rows.jsonl.gz": lambda path: path.write_bytes(gzip.compress(LINES.encode())),
    "rows.JSON.GZ": lambda path: path.write_bytes(gzip.compress(json.dumps(ROWS).encode())),
    "rows.jsonl.bz2": lambda path: path.write_bytes(bz2.compress(LINES.encode())),
    "rows.jsonl.xz": lambda path: path.write_bytes(lzma.compress(LINES.encode())),
    "rows.jsonl.zst": lambda path: zstd(path, LINES.encode()),
    "rows.parquet": lambda path: Dataset.from_list(ROWS).to_parquet(path),
    "[x]*.parquet": lambda path: Dataset.from_list(ROWS).to_parquet(path),
    "file.arrow": lambda path: arrow(path, pa.ipc.new_file),
    "stream.arrow": lambda path: arrow(path, pa.ipc.new_stream),
}


@pytest.mark.parametrize("name", FORMS)
def test_rows_are_read_from_files_of_every_form(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    FORMS[name](path)
    assert local_rows(str(path), None, None, None).to_list() == ROWS
    assert local_rows(str(path), None, None, 2).to_list() == ROWS[:2]
    assert head_columns(str(path), None, None) == ["prompt", "solution"]
    assert is_local(path.name), "no name of a file is taken for a Hub id"


CELLS = "prompt,solution\n" + "".join(f"{r['prompt']},{r['solution']}\n" for r in ROWS)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.csv", CELLS),
        ("rows.CSV", CELLS.replace("\n", "\r\n")),
        ("bom.csv", "\ufeff" + CELLS),
        ("rows.tsv", CELLS.replace(",", "\t")),
        ("of another country.csv", CELLS.replace(",", ";")),
        (
            "of pandas.csv",
            ",prompt,solution\n" + CELLS.partition("\n")[2].replace("What", "0,What"),
        ),
    ],
)
def test_cells_of_numbers_alone_are_numbers(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content, newline="")
    assert local_rows(str(tmp_path / name), None, None, None).to_list() == NUMBERED


def test_cells_keep_the_spelling_that_a_number_would_lose(tmp_path: Path) -> None:
    path = tmp_path / "cells.csv"
    path.write_text(
        'code,price,share,ok,level,text,gone\n007,1.50,0.5,True,1,"a\n""b"",c",\n08,2,1.5,False,,NA,\n'
    )
    rows = local_rows(str(path), None, None, None)
    assert rows.to_dict() == {
        "code": ["007", "08"],
        "price": ["1.50", "2"],
        "share": [0.5, 1.5],
        "ok": [True, False],
        "level": [1, None],
        "text": ['a\n"b",c', "NA"],
        "gone": [None, None],
    }


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("cut.jsonl", LINES[:-9], "line 3 is no JSON: "),
        ("first.jsonl", '{"prompt": "a\n{"prompt": "b"}\n', "line 1 is no JSON: "),
        ("word.jsonl", "hello\n" + LINES, "line 1 is no JSON: "),
        ("lists.jsonl", "[1]\n[2]\n", "line 1 is a list; each line must be an object"),
        ("later.jsonl", LINES + "4\n", "line 4 is a int; each line must be an object"),
        ("deep.jsonl", "[" * 100_000, "line 1 is no JSON: "),
        ("cut.json", json.dumps(ROWS, indent=1)[:-20], "line 11 is no JSON: "),
        ("texts.json", '["a", "b"]', "entry 0 of the list is a str, and not an object"),
        ("two.json", '{"a": [{"x": 1}], "b": [{"x": 1}]}', r"several lists of rows \(a, b\)"),
        ("latin.jsonl", '{"prompt": "a"}\n{"prompt": "ü"}\n'.encode("latin1"), "line 2 is not UTF"),
        ("utf16.jsonl", LINES.encode("utf-16"), "line 1 is UTF-16; convert it: iconv"),
        ("binary.jsonl", bytes(range(256)), "line 1 has null bytes, so this is no text"),
        ("binary.parquet", b"no parquet", "Parquet"),
        ("binary.arrow", b"no arrow", ""),
        (
            "cut.jsonl.gz",
            gzip.compress(LINES.encode(), mtime=0)[:-12],
            "end-of-stream|end of stream",
        ),
        ("none.jsonl.gz", LINES.encode(), "Not a gzipped file"),
        ("none.jsonl.xz", LINES.encode(), "format not supported"),
        ("none.jsonl.zst", LINES.encode(), "zstd|ZSTD"),
        ("more.csv", "a,b\n1,2\n1,2,3\n", "line 3 has 3 cells, and line 1 has 2 names"),
        ("fewer.csv", "a,b\n1\n", "line 2 has 1 cells, and line 1 has 2 names"),
        ("twice.csv", "a,a\n1,2\n", "line 1 has the column 'a' twice"),
        ("quote.csv", 'a,b\n"1,2\n', "line 2: unexpected end of data"),
    ],
)
def test_a_broken_file_is_named_with_the_line(
    name: str, content: str | bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ValueError, match=f"{name}: cannot be read: .*(?:{message})"):
        local_rows(str(path), None, None, None)


def test_one_row_is_a_row_though_it_holds_a_list_of_objects(tmp_path: Path) -> None:
    row = {"messages": [{"role": "user", "content": "a"}], "tests": [{"input": "1"}]}
    (tmp_path / "one.jsonl").write_text(json.dumps(row))
    assert local_rows(str(tmp_path / "one.jsonl"), None, None, None).to_list() == [row]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with files of several splits and a subset."""
    for name, count in {"train-0.jsonl": 1, "train-1.jsonl": 2, "test.jsonl": 3}.items():
        (tmp_path / name).write_text(LINES * count)
    (tmp_path / "README.md").write_text("# Rows")
    (tmp_path / ".hidden.jsonl").write_text("no rows")
    (tmp_path / "main" / "dev").mkdir(parents=True)
    (tmp_path / "main" / "dev" / "0.jsonl").write_text(LINES * 4)
    return tmp_path


@pytest.mark.parametrize(
    ("below", "name", "split", "count"),
    [
        ("", None, None, 9),
        ("", None, "train", 9),
        ("", None, "test", 9),
        ("", "main", "validation", 12),
        ("", None, "validation", 12),
        ("*.jsonl", None, None, 18),
        ("train-[01].jsonl", None, None, 9),
        ("**/*.jsonl", None, None, 30),
        ("main/dev", None, None, 12),
    ],
)
def test_a_folder_has_splits_and_a_pattern_names_many_files(
    below: str, name: str | None, split: str | None, count: int, folder: Path
) -> None:
    assert len(local_rows(str(folder / below), name, split, None)) == count


@pytest.mark.parametrize(
    ("below", "name", "split", "message"),
    [
        ("", None, "holdout", "of the split 'holdout'; there are: test, train, validation"),
        ("", "other", None, "there is no folder .*other"),
        ("main", None, "train", "of the split 'train'; there are: validation"),
        ("empty", None, None, r"no file of rows in .*empty \(nothing\); possible are .jsonl"),
        ("*.csv", None, None, r"there is no file .*\*.csv"),
        ("trian-0.jsonl", None, None, r"did you mean 'train-0.jsonl'"),
        ("README.md", None, None, "it is plain text, without columns; possible are .jsonl"),
    ],
)
def test_what_a_folder_does_not_have_is_named(
    below: str, name: str | None, split: str | None, message: str, folder: Path
) -> None:
    (folder / "empty").mkdir()
    with pytest.raises((OSError, ValueError), match=message):
        local_rows(str(folder / below), name, split, None)


@pytest.mark.parametrize(
    ("path", "local"),
    [
        *(("openai/gsm8k", False), ("gsm8k", False), ("org/data.v1", False)),
        *(("a/b/c", True), ("./a", True), ("~/a", True), ("mine.txt", True), ("mine.jsonl", True)),
        *(("my rows", True), ("rows-*", True), ("mine.zip", True), ("mine.csv.gz", True)),
    ],
)
def test_what_looks_like_a_file_is_no_hub_id(path: str, local: bool) -> None:
    assert is_local(path) is local
