"""What the page of a run is given: from the files of the run alone, and nothing that acts."""

import base64
import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from report_runs import EVIL, SECTION, write_report_run

from r1trl.report.data import page_data
from r1trl.report.files import check_section
from r1trl.report.state import read_record, read_stages, write_record
from r1trl.stage.files import StageSpec, read_result, write_result, write_spec
from r1trl.types import StageResult
from r1trl.watch.beats import Beat, write_beat
from r1trl.watch.control import Control, write_control
from r1trl.watch.processes import ProcessName, this_process

GONE = ProcessName(this_process().host, this_process().space, this_process().pid, "another")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_report_run(tmp_path / "demo")
    return tmp_path / "demo"


def unpacked(block: str) -> Any:
    return json.loads(gzip.decompress(base64.b64decode(block)))


def stage(run: Path, name: str) -> dict[str, Any]:
    """Return what the overview of a run says of a stage."""
    (found,) = [each for each in page_data(run).overview["stages"] if each["name"] == name]
    return dict(found)


def test_the_overview_says_what_the_run_is_and_how_far_it_is(run: Path) -> None:
    overview = page_data(run).overview
    assert overview["name"] == "demo" and overview["seed"] == 1
    assert overview["choices"] == {"recipe": "zero", "scale": "tiny", "name": EVIL}
    assert overview["command"].startswith("r1trl run recipe=zero scale=tiny 'name=")
    assert overview["versions"] == {"python": "3.11.7", "trl": "1.16.0"}
    assert "cores" in overview["machine"]
    states = {each["name"]: each["state"] for each in overview["stages"]}
    assert states == {
        "zero": "finished",
        "dev1": "failed",
        "scoreboard": "finished",
        "later": "waiting",
    }
    assert stage(run, "dev1")["reads"] == {"model": "zero", "data.cold.path": "zero"}
    assert stage(run, "zero")["tokens"] == 3600 and stage(run, "scoreboard")["tokens"] == 7 * 120


def test_a_failed_stage_has_its_reason_and_the_end_of_its_log(run: Path) -> None:
    failed = stage(run, "dev1")
    assert failed["reason"].startswith("stages.dev1: it has no rows")
    assert failed["log"].splitlines()[0] == "one" and EVIL in failed["log"]
    assert stage(run, "zero")["log"] == ""


def test_the_state_of_a_stage_is_that_of_its_processes(tmp_path: Path) -> None:
    folder = tmp_path / "stages" / "rl"
    write_spec(folder, StageSpec("rl", "grpo", "demo", 1, {"model": "x"}))
    (folder / "ranks").mkdir()

    def state() -> tuple[str, str]:
        (found,) = read_stages(tmp_path, read_record(tmp_path))
        return found.state, found.reason

    assert state() == ("stopped", "nobody works at it; the same command continues")
    write_control(folder, Control(this_process(), 1))
    assert state()[0] == "running", "its workers are being started"
    write_control(folder, Control(this_process(), 1, leave="SIGINT"))
    assert state()[0] == "stopped", "they had not begun"
    write_control(folder, Control(this_process(), 1))
    beat = Beat(0, this_process(), 1, 0.0)
    write_beat(folder, beat)
    assert state() == ("running", "")
    write_beat(folder, replace(beat, process=GONE))
    assert state()[0] == "failed" and "without a word" in state()[1]
    write_beat(folder, replace(beat, process=GONE, ended=1))
    assert state()[0] == "failed" and "exit status 1" in state()[1]
    write_control(folder, Control(GONE, 2, leave="SIGTERM"))
    write_beat(folder, replace(beat, process=GONE, ended=3))
    assert state() == ("stopped", "left early (SIGTERM); the same command continues")
    write_result(StageResult("rl", "grpo", folder, stop="accuracy is below 0.5"))
    assert state() == ("finished", "accuracy is below 0.5")


def test_a_run_without_a_record_has_the_stages_of_its_folders(run: Path) -> None:
    (run / "run.json").unlink()
    stages = {each["name"]: each for each in page_data(run).overview["stages"]}
    assert set(stages) == {"zero", "dev1", "scoreboard"} and stages["zero"]["kind"] == "grpo"


def test_the_first_command_of_a_run_has_begun_it(run: Path) -> None:
    text = (run / "run.json").read_text()
    (run / "run.json").write_text(text.replace(read_record(run).begun, "2001-01-01T00:00:00+00:00"))
    write_record(run, [], 5)
    record = read_record(run)
    assert record.begun == "2001-01-01T00:00:00+00:00" and record.completions == 5


def test_a_scoreboard_says_what_each_model_was_trained_from(run: Path) -> None:
    (board,) = page_data(run).overview["scoreboards"]
    assert [row["model"] for row in board["rows"]] == ["base", "zero", "dev1"]
    assert board["rows"][1]["metrics"]["pass@1_high"] == 0.85
    assert board["before"] == {"base": None, "zero": "base", "dev1": "zero"}


def test_curves_and_completions_are_blocks(run: Path) -> None:
    blocks = page_data(run).blocks
    assert set(blocks) == {"curves:zero", "completions:zero", "completions:scoreboard"}
    curves = unpacked(blocks["curves:zero"])
    assert curves["columns"]["reward"][:2] == [0.025, 0.05] and curves["together"] == 1
    assert len(unpacked(blocks["completions:scoreboard"])["columns"]["completion"]) == 120


def test_completions_are_bounded_by_the_run(run: Path) -> None:
    write_record(run, read_record(run).stages, 30)
    completions = unpacked(page_data(run).blocks["completions:scoreboard"])
    assert len(completions["columns"]["completion"]) == 30 and completions["total"] == 120


def test_what_filters_and_rewards_did_is_there(run: Path) -> None:
    zero = stage(run, "zero")
    (removed,) = zero["filters"]["problems"]
    assert (removed["in"], removed["out"], removed["reasons"]) == (10, 7, {EVIL: 3})
    accuracy = zero["scoring"]["accuracy"]
    assert accuracy["outcomes"] == {"value": 9, "abstain": 0, "timeout": 2, "error": 0}
    assert accuracy["failed"][0]["message"] == EVIL and accuracy["slowest"][0]["seconds"] == 1.5


def test_what_has_changed_is_read_again(run: Path) -> None:
    before = page_data(run).blocks
    assert page_data(run).blocks == before
    with (run / "stages" / "zero" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 41, "reward": 0.5}\n')
    after = page_data(run).blocks
    assert unpacked(after["curves:zero"])["columns"]["step"][-1] == 41
    assert after["completions:zero"] == before["completions:zero"]


def test_secrets_are_in_no_block(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefghijklmnop")
    folder = run / "stages" / "zero"
    with (folder / "completions.jsonl").open("a") as file:
        file.write('{"step": 9, "prompt": "", "completion": "hf_abcdefghijklmnop", "reward": 1}\n')
    text = json.dumps(unpacked(page_data(run).blocks["completions:zero"]))
    assert "hf_abcdefghijklmnop" not in text


def test_the_sections_of_plugins_are_there_and_a_wrong_one_is_told(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = run / "stages" / "zero" / "report" / "wrong.json"
    wrong.write_text('{"title": "x", "parts": [{"bars": [{"name": "a"}]}]}')
    for _ in range(2):
        assert stage(run, "zero")["sections"] == [SECTION]
    sentence = f"{wrong} is left out of the report: parts[0].bars: each row has to have name, value"
    assert capsys.readouterr().out.count(sentence) == 1


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ([], "a section is an object"),
        ({"title": "x"}, "parts is no list"),
        ({"title": "x", "parts": [1]}, "parts\\[0\\] has to have one of bars, curves, heat_map"),
        ({"title": "x", "parts": [{"text": "a", "table": [[]]}]}, "it has 2"),
        ({"title": "x", "parts": [{"text": 1}]}, "parts\\[0\\].text is no text"),
        ({"title": "x", "parts": [{"bars": []}]}, "has no rows"),
        ({"title": "x", "parts": [{"table": [["a"], ["b", "c"]]}]}, "rows of equal length"),
    ],
)
def test_a_section_that_cannot_be_shown_is_refused(section: Any, problem: str) -> None:
    check_section(SECTION)
    with pytest.raises(ValueError, match=problem):
        check_section(section)


def test_a_result_that_cannot_be_read_is_an_error(run: Path) -> None:
    result = run / "stages" / "zero" / "result.json"
    assert read_result(result.parent) is not None
    result.write_text(result.read_text().replace("3600", "3601"))
    with pytest.raises(Exception, match="redo=zero"):
        page_data(run)
