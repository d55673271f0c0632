"""report.md has the figures of a run's results; a run without any has one too."""

import json
import os
from pathlib import Path

import pytest

from r1trl.report.report import write_report
from r1trl.stage.files import StageSpec, write_result, write_spec
from r1trl.types import StageResult

BOARD = {
    "base/held_out/pass@1": 0.125,
    "base/held_out/pass@1_low": 0.1,
    "base/held_out/pass@1_high": 0.15,
    "base/held_out/truncated": 0.5,
    "zero/held_out/pass@1": 0.75,
    "zero/held_out/pass@1_low": 0.7,
    "zero/held_out/pass@1_high": 0.8,
    "zero/held_out/cons@k": 0.9,
    "zero/held_out/gain": 0.0,
    "zero/held_out/gain_low": -0.025,
    "zero/held_out/gain_high": 0.025,
    "zero/held_out/truncated": 0.0,
    "zero/held_out/language_consistency": 0.4567,
    "zero/held_out/tokens": 31.26,
}


def write_finished_stage(
    run: Path, number: int, spec: StageSpec, metrics: dict[str, float], seconds: float
) -> Path:
    """Write stage.yaml and result.json of a stage; return its folder. `number` orders stages."""
    folder = run / "stages" / spec.stage
    write_spec(folder, spec)
    write_result(StageResult(spec.stage, spec.kind, folder, metrics=metrics, seconds=seconds))
    os.utime(folder / "result.json", (1000 + number, 1000 + number))
    return folder


def write_run(run: Path) -> None:
    """Write a run of a training stage and its evaluation."""
    zero = StageSpec("zero", "grpo", "demo", 1, {"model": "Qwen/A"})
    folder = write_finished_stage(run, 0, zero, {"reward": 0.9}, 61.4)
    rows = [{"step": i, "seconds": 1.0 * i, "reward": i / 20, "loss": 1.0} for i in range(1, 21)]
    rows += [{"step": i, "seconds": 1.0 * i, "eval/held_out/pass@1": i / 40} for i in (0, 10, 20)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    models = {"base": {"path": "Qwen/A"}, "zero": {"path": str(folder / "model")}}
    settings = {"model": None, "models": models}
    board = StageSpec("scoreboard", "evaluate", "demo", 1, settings, "dataset", scores=True)
    write_finished_stage(run, 1, board, BOARD, 5.0)


def cells(text: str, *start: str) -> list[str]:
    """Return the cells of the table row that starts with some cells."""
    for line in text.splitlines():
        row = [cell.strip() for cell in line.strip("| ").split("|")]
        if line.startswith("|") and row[: len(start)] == list(start):
            return row
    raise AssertionError(f"no row {start} in\n{text}")


def test_the_scoreboard_has_a_row_per_model_with_its_interval(tmp_path: Path) -> None:
    write_run(tmp_path / "demo")
    board = write_report(tmp_path / "demo")
    head = cells(board, "model")
    base, zero = (dict(zip(head, cells(board, m), strict=True)) for m in ("base", "zero"))
    assert base["pass@1 (95 %)"] == "12.5 (10.0–15.0)"
    assert zero["pass@1 (95 %)"] == "75.0 (70.0–80.0)"
    assert zero["gain (95 %)"] == "+0.0 (-2.5 to +2.5)"
    assert (base["cons@k"], zero["cons@k"]) == ("–", "90.0")
    assert (base["truncated"], zero["truncated"]) == ("50.0", "0.0")
    assert (zero["language consistency"], zero["tokens"]) == ("0.457", "31.3")
    assert "pass@k" not in head, "a column that no model has is not shown"


def test_the_report_has_the_scoreboard_the_stages_and_the_metrics_of_training(
    tmp_path: Path,
) -> None:
    write_run(tmp_path / "demo")
    board = write_report(tmp_path / "demo")
    text = (tmp_path / "demo" / "report.md").read_text(encoding="utf-8")
    assert text.startswith("# demo\n") and board in text
    assert cells(text, "zero", "grpo") == ["zero", "grpo", "Qwen/A", "61"]
    assert cells(text, "scoreboard", "evaluate") == ["scoreboard", "evaluate", "2 models", "5"]
    assert text.index("| zero       | grpo") < text.index("| scoreboard |")
    first, last = (float(cell) for cell in cells(text, "reward")[1:])
    assert first == 0.075 and last > 0.9
    assert cells(text, "loss") == ["loss", "1", "1"]
    assert cells(text, "eval/held_out/pass@1") == ["eval/held_out/pass@1", "0", "0.5"]


def test_a_run_without_a_finished_stage_has_a_report_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "demo" / "stages").mkdir(parents=True)
    sentence = "No stage with a scoreboard has finished yet."
    assert write_report(tmp_path / "demo") == sentence
    assert sentence in (tmp_path / "demo" / "report.md").read_text()


def test_a_kind_decides_if_its_metrics_feed_the_scoreboard(tmp_path: Path) -> None:
    spec = StageSpec("exam", "exam", "demo", 1, {"models": {}}, "dataset", scores=True)
    write_finished_stage(tmp_path, 0, spec, BOARD, 5.0)
    other = StageSpec("eval", "evaluate", "demo", 1, {"models": {}}, "dataset", scores=False)
    write_finished_stage(tmp_path, 1, other, {"reward": 1.0}, 5.0)
    assert "75.0 (70.0–80.0)" in write_report(tmp_path)


def test_the_report_has_the_outcomes_and_seconds_of_the_rewards(tmp_path: Path) -> None:
    write_run(tmp_path / "demo")
    stats = {"accuracy": {"outcomes": {"value": 9, "timeout": 2}, "seconds": 3.14}}
    (tmp_path / "demo" / "stages" / "zero" / "scoring.json").write_text(json.dumps(stats))
    write_report(tmp_path / "demo")
    text = (tmp_path / "demo" / "report.md").read_text(encoding="utf-8")
    assert cells(text, "zero", "accuracy")[2:] == ["9", "0", "2", "0", "3.1"]


@pytest.mark.parametrize("damaged", ["", '{"a": ', "[]", '{"a": {"outcomez": {}, "seconds": 1}}'])
def test_a_damaged_record_is_told_and_left_out(
    damaged: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "demo")
    stage = tmp_path / "demo" / "stages" / "zero"
    (stage / "scoring.json").write_text(damaged)
    metrics = (stage / "metrics.jsonl").read_text().splitlines()
    (stage / "metrics.jsonl").write_text("\n".join(["{]}", *metrics, ""]))
    text = write_report(tmp_path / "demo")
    assert "held_out" in text
    said = capsys.readouterr().out
    assert f"{stage / 'scoring.json'} is damaged, and is left out of the report" in said
    assert f"{stage / 'metrics.jsonl'}: damaged lines are left out: 1" in said
