"""Scores beside each other: paired where the questions are the same, and only there."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from r1trl.compare.runs import read_runs
from r1trl.compare.scores import Board, Change, boards
from r1trl.intervals import bootstrap_interval
from r1trl.stage.files import StageSpec, write_result, write_spec
from r1trl.types import StageResult

RIGHT = {"metrics": {"correct": "accuracy"}}
QUESTIONS = [f"question {n}" for n in range(20)]


def write_scored(run: Path, rates: list[float], texts: list[str], stage: str = "board") -> None:
    """Write a run whose model `m` has two samples of each question on the benchmark `b`."""
    folder = run / "stages" / stage
    folder.mkdir(parents=True)
    write_spec(folder, StageSpec(stage, "evaluate", "x", 1, RIGHT, "dataset", scores=True))
    rows = [
        {"model": "m", "benchmark": "b", "problem": n, "question": text, "solution": "1"}
        | {"prompt": f"{run.name} {text}", "tokens_spent": 1}
        | {"rewards/accuracy": float(sample < 2 * rate), "outcome/accuracy": "value"}
        for n, (rate, text) in enumerate(zip(rates, texts, strict=True))
        for sample in range(2)
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "rollouts.parquet")
    mean = sum(rates) / len(rates)
    scores = {"pass@1": mean, "pass@1_low": mean - 0.1, "pass@1_high": mean + 0.1}
    metrics = {f"m/b/{name}": value for name, value in scores.items()}
    write_result(StageResult(stage, "evaluate", folder, metrics=metrics))


THEN = [0.0, 0.5, 1.0, 0.5] * 5
NOW = [0.5, 0.5, 1.0, 1.0] * 5


def compared(tmp_path: Path, texts: list[str]) -> list[Board]:
    write_scored(tmp_path / "one", THEN, QUESTIONS)
    write_scored(tmp_path / "two", NOW, texts)
    return boards(read_runs([tmp_path / "one", tmp_path / "two"]))


def test_the_same_questions_are_compared_in_pairs(tmp_path: Path) -> None:
    [board] = compared(tmp_path, QUESTIONS)
    first, second = board.scores
    assert (board.stage, board.benchmark) == ("board", "b")
    assert first.change is None and (second.run, second.model) == (1, "m")
    pairs = [now - then for now, then in zip(NOW, THEN, strict=True)]
    assert second.change == Change(pytest.approx(0.25), *bootstrap_interval(pairs), paired=True)
    assert second.change.low > 0


@pytest.mark.parametrize("what", ["text", "number"])
def test_other_questions_are_compared_by_the_intervals_of_both(tmp_path: Path, what: str) -> None:
    others = [*QUESTIONS[:-1], "another"] if what == "text" else [*QUESTIONS[1:], QUESTIONS[0]]
    [board] = compared(tmp_path, others)
    change = board.scores[1].change
    assert change is not None and not change.paired
    assert change.high - change.by == pytest.approx(2**0.5 * 0.1)


def test_rollouts_that_do_not_make_the_score_are_not_paired(tmp_path: Path) -> None:
    write_scored(tmp_path / "one", THEN, QUESTIONS)
    write_scored(tmp_path / "two", NOW, QUESTIONS)
    write_scored(tmp_path / "else", [1.0] * 20, QUESTIONS)
    rollouts = tmp_path / "else" / "stages" / "board" / "rollouts.parquet"
    rollouts.rename(tmp_path / "two" / "stages" / "board" / "rollouts.parquet")
    [board] = boards(read_runs([tmp_path / "one", tmp_path / "two"]))
    assert board.scores[1].change is not None and not board.scores[1].change.paired


def test_the_first_run_with_a_model_is_the_one_compared_with(tmp_path: Path) -> None:
    (tmp_path / "zero" / "stages").mkdir(parents=True)
    write_scored(tmp_path / "one", THEN, QUESTIONS)
    write_scored(tmp_path / "two", NOW, QUESTIONS)
    write_scored(tmp_path / "two", NOW, QUESTIONS, "further")
    found = boards(read_runs([tmp_path / name for name in ("zero", "one", "two")]))
    assert [(each.stage, [score.run for score in each.scores]) for each in found] == [
        ("board", [1, 2]),
        ("further", [2]),
    ]
    assert found[1].scores[0].change is None
