"""Runs that a report is made of: their files as the driver and the workers would leave them."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hostile_texts import ALL

from r1trl.process.texts import whole
from r1trl.report.state import RecordedStage, write_record
from r1trl.stage.files import StageSpec, write_result, write_spec
from r1trl.storage.jsonl import write_rows
from r1trl.types import StageResult
from r1trl.watch.beats import Beat, write_beat, write_error
from r1trl.watch.processes import ProcessName

EVIL = (
    "</script><img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
)
MODELS = ("base", "zero", "dev1")
SHARES = {"base": 0.25, "zero": 0.75, "dev1": 0.8}
CORRECT = {"metrics": {"correct": "accuracy"}, "evaluate": {"metrics": {"correct": "accuracy"}}}
SECTION = {
    "title": "Shape",
    "parts": [
        {"title": "cells", "heat_map": [{"x": EVIL, "y": "a", "value": -1}]},
        {"title": "effects", "bars": [{"name": EVIL, "value": 2, "low": 1, "high": 3, "noise": 1}]},
        {"title": "lines", "curves": [{"series": "s", "step": i, "value": i} for i in (1, 2)]},
        {"title": "dots", "points": [{"series": "s", "x": 1, "y": 2, "text": EVIL}]},
        {"title": "rows", "folded": True, "table": [["what", "n"], [EVIL, 1]]},
        {"text": f"A sentence. {EVIL}"},
    ],
}


def write_report_run(run: Path) -> None:
    """Write a run: a trained stage, a failed one, a scoreboard of three models, one that waits."""
    reads = {"models.zero.path": "zero", "models.dev1.path": "dev1"}
    stages = [
        RecordedStage("zero", "grpo"),
        RecordedStage("dev1", "sft", {"model": "zero", "data.cold.path": "zero"}),
        RecordedStage("scoreboard", "evaluate", reads),
        RecordedStage("later", "sample", {"model": "dev1"}),
    ]
    run.mkdir(parents=True)
    head = ["# composed from these overrides:", "# recipe=zero", "# scale=tiny", f"# name={EVIL}"]
    (run / "config.yaml").write_text("\n".join([*head, "name: x", ""]))
    write_record(run, stages, 2000)
    _trained(run / "stages" / "zero")
    _failed(run / "stages" / "dev1")
    _scoreboard(run / "stages" / "scoreboard")


def _trained(folder: Path) -> None:
    settings = {"model": "Qwen/A", "args": {"max_steps": 40}, **CORRECT}
    write_spec(folder, StageSpec("zero", "grpo", "demo", 1, settings))
    rows: list[dict[str, Any]] = [
        {"step": i, "seconds": i, "num_tokens": 90 * i, "reward": i / 40, "kl": 0.1 / i}
        | {"rewards/accuracy/mean": i / 50, "rewards/words/right": i, "rewards/words/wrong": 2 * i}
        | {"completions/mean_length": 20 + i, "seconds/accuracy": 0.1, EVIL: i}
        for i in range(1, 41)
    ]
    rows += [
        {"step": i, f"eval/{EVIL}/pass@1": i / 50}
        | {f"eval/{EVIL}/pass@1_low": i / 60, f"eval/{EVIL}/pass@1_high": i / 40}
        for i in (10, 20, 30, 40)
    ]
    write_rows(rows, folder / "metrics.jsonl")
    texts = [f"<think>{EVIL}</think>{EVIL}", *(text[:3000] for text in ALL)]
    completions = [
        {"step": n, "prompt": f"p {EVIL}", "completion": text, "reward": 1.0}
        | {"rewards/accuracy": 1.0, "outcome/accuracy": "value"}
        for n, text in enumerate(texts)
    ]
    lines = [json.dumps(row) + "\n" for row in completions]  # halves of characters as escapes
    (folder / "completions.jsonl").write_text("".join(lines), encoding="utf-8")
    (folder / "ranks").mkdir()
    ended = Beat(0, ProcessName("gone", "pid:[1]", 1, "1"), 1, 0.0, ended=0)
    write_beat(folder, replace(ended, notice=f"ends at step 40: alarm: {EVIL}"))
    filters = [{"filter": "short", "in": 10, "out": 7, "reasons": {EVIL: 3}}]
    filters[0]["dropped"] = {EVIL: [{"prompt": EVIL, "solution": "seven"}]}
    _json(folder / "data" / "filters.json", {"problems": filters, "all": []})
    failed = {"outcome": "timeout", "message": EVIL, "completion": EVIL}
    slow = {"seconds": 1.5, "completion": EVIL}
    scored = {"outcomes": {"value": 9, "timeout": 2}, "seconds": 3.1}
    _json(folder / "scoring.json", {"accuracy": {**scored, "slowest": [slow], "failed": [failed]}})
    _json(folder / "report" / "shape.json", SECTION)
    versions = {"python": "3.11.7", "trl": "1.16.0"}
    metrics = {"num_tokens": 3600.0}
    result = StageResult("zero", "grpo", folder, metrics=metrics, seconds=61.4, versions=versions)
    write_result(result)


def _failed(folder: Path) -> None:
    write_spec(folder, StageSpec("dev1", "sft", "demo", 1, {"model": "stage:zero", "args": {}}))
    (folder / "ranks").mkdir()
    write_error(folder, 0, f"stages.dev1: it has no rows {whole(EVIL)}\nTraceback …")
    (folder / "log.txt").write_text(f"one\ntwo\nthe last line {EVIL}\n")


def _scoreboard(folder: Path) -> None:
    paths = {"base": "Qwen/A", "zero": "stage:zero", "dev1": "stage:dev1"}
    settings = {"models": {name: {"path": path} for name, path in paths.items()}, **CORRECT}
    spec = StageSpec("scoreboard", "evaluate", "demo", 1, settings, "dataset", scores=True)
    write_spec(folder, spec)
    metrics: dict[str, float] = {}
    for model, share in SHARES.items():
        own = {"pass@1": share, "pass@1_low": share - 0.1, "pass@1_high": share + 0.1}
        own |= {"tokens": 100 * share, "cons@k": share, "language_consistency": 0.5}
        metrics |= {f"{model}/held_out/{name}": value for name, value in own.items()}
    write_rollouts(folder / "rollouts.parquet", MODELS, problems=40)
    result = StageResult("scoreboard", "evaluate", folder, metrics=metrics, seconds=5.0)
    write_result(result)


def write_rollouts(file: Path, models: tuple[str, ...], problems: int, text: Any = None) -> None:
    """Write rollouts of models on problems; `text(n)` is a completion in place of a short one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    for m, model in enumerate(models):
        for problem in range(problems):
            right, n = (problem + m) % 4 > 0, len(rows)
            thought = f"<think>thought {model} {problem}</think><answer>{int(right)}</answer>"
            rows.append(
                {
                    "model": model,
                    "benchmark": "held_out",
                    "problem": problem,
                    "prompt": f"Question {problem} needle{problem} {EVIL}",
                    "completion": text(n) if text else f"{thought} {EVIL}",
                    "solution": "1",
                    "completion_tokens": 7,
                    "tokens_spent": 7,
                    "finished": n % 5 > 0,
                    "reward": float(right),
                    "rewards/accuracy": float(right),
                    "outcome/accuracy": "value",
                    "rewards/style": 0.5 if n % 10 else None,
                    "outcome/style": "value" if n % 10 else "timeout",
                }
            )
    pq.write_table(pa.Table.from_pylist(rows), file)


def _json(file: Path, content: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))
    os.utime(file, (1000, 1000))
