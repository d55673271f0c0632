"""Texts of others: whole where they come in, harmless where they are shown."""

import ast
import io
import json
import sys
from pathlib import Path

import pytest
from hostile_texts import ALL, NAMES

import r1trl
from r1trl.data.columns import read_columns
from r1trl.files.local import local_rows
from r1trl.files.tables import dataset_of
from r1trl.process.terminal import newest_lines, say
from r1trl.process.texts import ACTING, printable, whole, whole_texts
from r1trl.rehearsal.first import shown
from r1trl.report.data import as_json
from r1trl.report.tables import aligned, markdown
from r1trl.stage.logs import last_lines
from r1trl.storage.jsonl import append_rows, read_rows, write_rows

CORE = Path(r1trl.__file__).parent
# print() with r1trl's own texts: control of the cursor, replies of the warm process, config keys.
PRINTS = {"process/terminal.py", "run/progress.py", "run/warm.py", "rehearsal/first.py"}
PRINTS |= {"training/prompts_and_groups.py"}


@pytest.mark.parametrize("text", ALL, ids=NAMES)
def test_a_text_comes_back_from_json_lines_as_it_was(text: str, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    write_rows([{"text": text, "n": 1}], file)
    append_rows([{"text": text, "n": 2}, {text: text, "n": 3}], file)
    kept = whole(text)
    assert read_rows(file)[:2] == [{"text": kept, "n": 1}, {"text": kept, "n": 2}]
    assert read_rows(file)[2][kept] == kept


@pytest.mark.parametrize("text", ALL, ids=NAMES)
def test_a_text_comes_back_from_files_of_rows(text: str, tmp_path: Path) -> None:
    file, parquet = tmp_path / "rows.jsonl", tmp_path / "rows.parquet"
    file.write_text(json.dumps({"prompt": text, "deep": {"x": [text]}}) + "\n")
    kept = whole(text)
    assert read_columns(file) == {"prompt": [kept], "deep": [{"x": [kept]}]}
    rows = local_rows(str(file), None, None, None)
    assert rows["prompt"][:] == [kept]
    rows.to_parquet(parquet)
    assert read_columns(parquet)["prompt"] == [kept]


@pytest.mark.parametrize("text", ALL, ids=NAMES)
def test_a_text_does_nothing_to_a_terminal_or_a_log(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    say(text)
    say(text, error=True)
    out, error = capsys.readouterr()
    assert out == error == f"{printable(text)}\n" and not ACTING.search(out)
    (tmp_path / "log.txt").write_bytes(b"earlier\n" + text.encode("utf-8", "surrogatepass"))
    for line in (*newest_lines(tmp_path / "log.txt", 1), last_lines(tmp_path)):
        assert not ACTING.search(line) and len(line) < 30_000
    row = {"key": "stages.x", "pieces": [[text, True], [text, False]]}
    assert not ACTING.search(shown([row], colours=False))
    table = aligned([["name", "n"], [text, "1"]])
    assert not ACTING.search(table) and len(table.split("\n")) == 2


@pytest.mark.parametrize("text", ALL, ids=NAMES)
def test_a_text_is_one_cell_of_a_report(text: str) -> None:
    from markdown_it import MarkdownIt

    rows = [["name", "n"], [text, "1"]]
    written = markdown(rows)
    assert len(written.split("\n")) == 3
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(written)
    assert html.count("<td>") == 2 and html.count("<tr>") == 2
    inside = html.partition("<tbody>")[2]
    for tag in ("<a", "<img", "<script", "<svg", "<em", "<strong", "<code", "<b>"):
        assert tag not in inside
    held = as_json({"table": rows})
    assert "<" not in held and not ACTING.search(held)
    assert json.loads(held) == {"table": whole_texts(rows)}


def test_a_text_without_such_characters_is_untouched() -> None:
    text = "中文，标点。\u3000café 1 < 2 & x_y\tz\n"
    assert whole(text) is text or whole(text) == text
    assert printable(text) == text
    assert whole_texts({"a": [text, 1, None, 0.5, True]}) == {"a": [text, 1, None, 0.5, True]}


def test_markdown_is_only_marked_where_something_would_happen() -> None:
    cells = ["mean_token_accuracy", "Qwen/Qwen2.5-7B", "pass@1 (95 %)", "61.4"]
    for cell in cells:
        assert cell in markdown([["a"], [cell]])


def test_what_an_encoding_lacks_is_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    say("1 … 中")
    stream.flush()
    assert stream.buffer.getvalue() == b"1 \\u2026 \\u4e2d\n"  # type: ignore[attr-defined]


def test_columns_of_any_nesting_are_whole() -> None:
    rows = dataset_of({"messages": [[{"role": "user", "content": "a\ud800"}]], "b": ["\udfff"]})
    assert rows[0] == {"messages": [{"role": "user", "content": "a\ufffd"}], "b": "\ufffd"}


def test_r1trl_prints_through_one_function() -> None:
    for file in CORE.rglob("*.py"):
        name = str(file.relative_to(CORE))
        if name in PRINTS or name.startswith("kinds/"):
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "print", f"{name}, line {node.lineno}: use terminal.say"
