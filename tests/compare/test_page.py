"""The page and the tables of a comparison, of runs that are finished, go on, or have just begun."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
from report_runs import EVIL, write_report_run

from r1trl.cli import main
from r1trl.compare.comparison import compared, comparison_data
from r1trl.compare.curves import curves
from r1trl.compare.page import check_out, tables, write_comparison
from r1trl.compare.runs import read_runs
from r1trl.errors import ConfigError
from r1trl.identity.taken import write_taken
from r1trl.storage.jsonl import append_rows, write_rows

DOCUMENT = Path(__file__).parents[2] / "docs" / "REPORT.md"


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    folders = [tmp_path / "one", tmp_path / "two"]
    for number, folder in enumerate(folders):
        write_report_run(folder)
        config = folder / "config.yaml"
        config.write_text(
            config.read_text().replace("# scale=tiny", f"# scale=tiny\n# seed={number}")
        )
    return folders


def test_a_metric_has_a_chart_and_a_line_for_each_run_over_its_own_steps(
    runs: list[Path],
) -> None:
    log = runs[1] / "stages" / "zero" / "metrics.jsonl"
    write_rows([{"step": n, "reward": n, "only_here": 1.0} for n in (2, 4)], log)
    append_rows([{"step": 4, "eval/b/pass@1": 0.5}], log)
    charts, block = curves(read_runs(runs), "zero")
    by_title = {chart["title"]: chart["series"] for chart in charts}
    assert [line["label"] for line in by_title["all, weighted"]] == ["seed=0", "seed=1"]
    assert [line["label"] for line in by_title["only_here"]] == ["seed=1"]
    assert {"words, of right and wrong answers: right", "kl"} <= by_title.keys()
    columns = block["columns"]
    assert columns["step"] == list(range(1, 41))
    assert columns["1/reward"][:5] == [None, 2, None, 4, None]
    assert columns["1/eval/b/pass@1"][3] == 0.5 and columns["0/reward"][39] == 1.0
    low = next(line["low"] for line in by_title[f"pass@1: {EVIL}"] if line["label"] == "seed=0")
    assert columns[low][9] == pytest.approx(10 / 60, rel=1e-4)


def test_a_long_log_is_thinned_and_the_page_says_so(runs: list[Path]) -> None:
    log = runs[0] / "stages" / "zero" / "metrics.jsonl"
    write_rows([{"step": n, "reward": n} for n in range(1, 2501)], log)
    _, block = curves(read_runs(runs), "zero")
    assert block["together"] == 3 and len(block["columns"]["step"]) < 1000


def test_the_tables_have_what_differs_as_columns(runs: list[Path]) -> None:
    text = tables(compared(runs)).replace(f"{runs[0].parent}/", "")
    lines = [re.split(r"  +", line) for line in text.splitlines()]
    assert lines == [
        ["run", "seed", "state", "stages", "seconds", "tokens"],
        ["one", "0", "failed", "2 of 4", "66", "4,440"],
        ["two", "1", "failed", "2 of 4", "66", "4,440"],
        [""],
        ["pass@1 (95 %)", "seed", "held_out"],
        *(
            [model, seed, cell]
            for model, cell in (
                ("base", "25.0 (15.0–35.0)"),
                ("zero", "75.0 (65.0–85.0)"),
                ("dev1", "80.0 (70.0–90.0)"),
            )
            for seed in "01"
        ),
    ]


def test_a_stage_that_was_taken_over_costs_nothing_again(runs: list[Path]) -> None:
    folder = runs[1] / "stages" / "zero"
    write_taken(folder, "../../../one")
    write_taken(folder, "../../../two")
    comparison = compared(runs)
    assert [each.elsewhere for each in comparison.spent["zero"] if each] == ["", "one"]
    assert re.search(r"two +1 +failed +2 of 4 +5 +840", tables(comparison))


def test_runs_that_have_just_begun_are_compared(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
        (folder / "run.json").write_text("{}")
    data = comparison_data(compared(folders))
    assert data.overview["boards"] == [] and data.blocks == {}
    assert tables(compared(folders)).count("waiting") == 2


def test_the_page_is_one_file_and_what_is_in_it_is_text(runs: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    write_comparison(compared(runs), out)
    text = out.read_text(encoding="utf-8")
    assert EVIL not in text and "<title>2 runs</title>" in text
    others = re.sub("<script>.*?</script>", "", text, flags=re.S)
    assert not re.search("<script [^>]*src|<link|<img|<iframe", others)
    overview = re.search('<script type="application/json" id="overview">(.*?)</script>', text)
    assert overview
    shown = json.loads(overview[1])
    assert [run["given"] for run in shown["runs"]] == [["0"], ["1"]]
    assert [bool(each["charts"]) for each in shown["stages"]] == [True, False, False, False]
    assert len(text) < 1_200_000


def test_the_commands_of_the_document_do_what_it_says(
    runs: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = runs[0].parent
    for name in ("first", "second", "third"):
        shutil.copytree(runs[0], folder / "runs" / name)
    monkeypatch.chdir(folder)
    commands = re.findall("^r1trl (compare .*?)(?: +#.*)?$", DOCUMENT.read_text(), re.M)
    assert len(commands) == 2
    for command in commands:
        monkeypatch.setattr(sys, "argv", ["r1trl", *command.split()])
        assert main() == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == "three.html" and str(folder / "runs" / "compare.html") in said
    assert Path("three.html").exists() and Path("runs/compare.html").exists()


@pytest.mark.parametrize(
    ("out", "problem"), [("no/x.html", "there is no folder .*no"), (".", "is a folder; give")]
)
def test_a_page_that_cannot_be_written_is_told_before(
    tmp_path: Path, out: str, problem: str
) -> None:
    with pytest.raises(ConfigError, match=f"--out: .*{problem}"):
        check_out(tmp_path / out)
