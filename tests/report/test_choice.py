"""Which completions of a stage are in its report."""

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from r1trl.report import completions as module
from r1trl.report.choice import choose
from r1trl.report.completions import completions_of
from r1trl.storage.jsonl import write_rows


def rollouts(models: int, problems: int, samples: int) -> list[dict[str, Any]]:
    """Return rows of rollouts; every tenth answer is wrong, and one reward fails now and then."""
    rows: list[dict[str, Any]] = []
    for model in range(models):
        for problem in range(problems):
            for sample in range(samples):
                wrong, n = len(rows) % 10 == 0, len(rows)
                rows.append(
                    {
                        "model": f"m{model}",
                        "benchmark": "held_out",
                        "problem": problem,
                        "prompt": f"What is {problem}?",
                        "completion": f"<think>{n}</think>{sample}",
                        "solution": str(problem),
                        "completion_tokens": 5,
                        "tokens_spent": 6,
                        "finished": True,
                        "reward": 0.0 if wrong else 1.0,
                        "rewards/exact": 0.0 if wrong else 1.0,
                        "outcome/exact": "value",
                        "rewards/style": None,
                        "outcome/style": "timeout" if n % 100 == 1 else "abstain",
                    }
                )
    return rows


def write(folder: Path, rows: list[dict[str, Any]]) -> None:
    pq.write_table(pa.Table.from_pylist(rows), folder / "rollouts.parquet", row_group_size=100)


def names(found: dict[str, Any], column: str) -> list[Any]:
    """Return the texts of a column that has numbers in place of them."""
    return [found["names"][column][i] for i in found["columns"][column]]


def test_few_completions_are_all_there_with_what_belongs_to_each(tmp_path: Path) -> None:
    rows = rollouts(2, 3, 2)
    write(tmp_path, rows)
    found = completions_of(tmp_path, "exact", 100)
    assert found is not None and found["total"] == 12 and found["left_out"] == []
    assert found["tokens"] == 72
    assert found["columns"]["completion"] == [row["completion"] for row in rows]
    assert names(found, "prompt") == [row["prompt"] for row in rows]
    assert found["names"]["prompt"] == ["What is 0?", "What is 1?", "What is 2?"], "each once"
    assert found["columns"]["right"] == [row["reward"] == 1 for row in rows]
    assert found["rewards"]["style"] == [None] * 12
    assert found["outcomes"]["style"][1] == "timeout"


def test_rare_outcomes_and_whole_chains_are_among_many(tmp_path: Path) -> None:
    rows = rollouts(4, 100, 5)
    write(tmp_path, rows)
    found = completions_of(tmp_path, "exact", 200)
    assert found is not None and len(found["columns"]["completion"]) == 200
    shown = list(zip(names(found, "model"), found["columns"]["problem"], strict=True))
    models = Counter(problem for _, problem in dict.fromkeys(shown))
    assert sum(count == 4 for count in models.values()) >= 25, "each problem in all models"
    timeouts = [o for o in found["outcomes"]["style"] if o == "timeout"]
    assert len(timeouts) == 20, "all of them: other outcomes are frequent enough"
    wrong = found["columns"]["right"].count(False)
    assert 50 < wrong < 110, "as many as right ones, but for the chains"
    left = Counter({tuple(kind): number for *kind, number in found["left_out"]})
    assert left.total() == 1800
    assert left["m0", "held_out", "abstain", "right"] > 300
    assert completions_of(tmp_path, "exact", 200) == found, "always the same"


def test_the_bound_is_met_and_nothing_is_allowed(tmp_path: Path) -> None:
    write(tmp_path, rollouts(3, 10, 2))
    for bound in (0, 1, 7, 59):
        found = completions_of(tmp_path, "exact", bound)
        assert found is not None and len(found["columns"].get("completion", [])) == bound


def test_strata_are_chosen_from_in_turn() -> None:
    strata = ["often"] * 90 + ["seldom"] * 10
    chosen = choose(strata, [], range(100), 40)
    assert Counter(strata[i] for i in chosen) == {"often": 30, "seldom": 10}
    assert chosen == sorted(chosen)


def test_long_texts_lack_their_middle_and_take_room_from_others(tmp_path: Path) -> None:
    rows = rollouts(1, 40, 1)
    for row in rows:
        row["completion"] = "x" * 100_000
    write(tmp_path, rows)
    found = completions_of(tmp_path, "exact", 30)
    assert found is not None
    texts = found["columns"]["completion"]
    assert len(texts) == 2, "30 times 2,000 characters are two texts of 20,000, and not three"
    assert all(len(text) < 20_010 and " … " in text for text in texts)
    assert sum(number for *_, number in found["left_out"]) == 38


def test_a_log_of_training_is_read_too(tmp_path: Path) -> None:
    row = {"step": 1, "completion": "a\u202eb", "reward": float("nan"), "rewards/exact": 0.5}
    messages = [{"role": "user", "content": "Hi"}]
    rows = [{**row, "prompt": messages}, {**row, "prompt": "plain", "step": 2, "rewards/exact": 1}]
    write_rows(rows, tmp_path / "completions.jsonl")
    with (tmp_path / "completions.jsonl").open("a") as file:
        file.write('{"step": 3, "prom')
    found = completions_of(tmp_path, "exact", 10)
    assert found is not None and found["total"] == 2 and not found["partly"]
    assert found["columns"]["step"] == [1, 2]
    assert found["columns"]["right"] == [False, True]
    assert names(found, "prompt") == ["user: Hi", "plain"]
    assert found["columns"]["completion"][0] == r"a\u202eb", "what turns text around is seen"
    assert found["columns"]["reward"] == [None, None], "JSON has no NaN"


def test_of_a_very_long_log_pieces_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PIECE", 1 << 10)
    rows = [{"step": i, "prompt": "p", "completion": "c" * 40, "reward": 1.0} for i in range(5000)]
    write_rows(rows, tmp_path / "completions.jsonl")
    found = completions_of(tmp_path, None, 10_000)
    assert found is not None and found["partly"]
    steps = found["columns"]["step"]
    assert 300 < len(steps) < 1500 and min(steps) == 0 and max(steps) > 4900
    assert steps == sorted(set(steps)) and found["columns"]["right"] == [None] * len(steps)


def test_a_stage_without_completions_has_none(tmp_path: Path) -> None:
    assert completions_of(tmp_path, "exact", 10) is None
