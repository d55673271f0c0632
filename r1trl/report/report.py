"""report.md: the scoreboard, every stage, how training went."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from r1trl.errors import ConfigError
from r1trl.process.terminal import say
from r1trl.report.tables import markdown, marked_down
from r1trl.stage.files import StageSpec, read_result, read_spec
from r1trl.storage.jsonl import read_rows
from r1trl.storage.writing import write_text
from r1trl.types import OUTCOMES, StageResult

COLUMNS = {
    "pass@1": "pass@1 (95 %)",
    "gain": "gain (95 %)",
    "spread": "spread over variants",
    "unsafe": "unsafe",
    "over_refused": "over-refused",
    "cons@k": "cons@k",
    "pass@k": "pass@k",
    "format": "format",
    "language_consistency": "language consistency",
    "truncated": "truncated",
    "abstained": "problems without gold",
    "no_verdict": "samples without verdict",
    "tokens": "tokens",
    "tokens_spent": "tokens spent",
}
NO_SCOREBOARD = "No stage with a scoreboard has finished yet."
SHARES = (
    *("pass@1", "gain", "spread", "unsafe", "over_refused", "cons@k", "pass@k", "format"),
    *("truncated", "abstained", "no_verdict"),
)


def write_report(folder: Path, shown: Collection[str] = ()) -> str:
    """Write report.md of a run; return its scoreboard, or those of the stages in `shown` alone."""
    results = finished_results(folder)
    boards = {r.stage: scoreboard(r.metrics) for r in results if scores(r)}
    board = "\n\n".join(map(markdown, boards.values())) or NO_SCOREBOARD
    told = "\n\n".join(markdown(boards[name]) for name in shown if name in boards)
    stages, rewards = stages_table(results), rewards_table(results)
    kept = kept_table(results)
    parts = [f"# {marked_down(folder.name)}", board, "## Stages", markdown(stages)]
    parts += ["## Rewards", markdown(rewards)] if len(rewards) > 1 else []
    parts += ["## Kept", markdown(kept)] if len(kept) > 1 else []
    parts += [part for r in results if (part := training_summary(r))]
    write_text(folder / "report.md", "\n\n".join(parts) + "\n")
    return told if shown else board


def finished_results(folder: Path) -> list[StageResult]:
    """Return the results of a run's finished stages, in the order in which they finished."""
    paths = (folder / "stages").glob("*/result.json")
    ordered = sorted(paths, key=lambda path: path.stat().st_mtime)
    return [r for path in ordered if (r := read_result(path.parent)) is not None]


def scores(result: StageResult) -> bool:
    """Return True if the stage's metrics feed the scoreboard, which its kind says."""
    spec = read_spec(result.folder)
    return spec is not None and spec.scores


def scoreboard(metrics: Mapping[str, float]) -> list[list[str]]:
    """Return metrics `<model>/<benchmark>/<metric>` as a table, a row per model and benchmark."""
    rows = scores_of(metrics)
    shown = [c for c in COLUMNS if any(c in row for row in rows.values())]
    head = ["model", "benchmark", *(COLUMNS[c] for c in shown)]
    body = [[m, b, *(score_cell(row, c) for c in shown)] for (m, b), row in rows.items()]
    return [head, *body]


def scores_of(metrics: Mapping[str, float]) -> dict[tuple[str, str], dict[str, float]]:
    """Return the metrics of a scoreboard, `<model>/<benchmark>/<metric>`, by model and benchmark.

    Other metrics, such as those of transitions, are left out.
    """
    rows: dict[tuple[str, str], dict[str, float]] = {}
    for name, value in metrics.items():
        if name.count("/") >= 2:
            model, benchmark, metric = name.split("/", 2)
            rows.setdefault((model, benchmark), {})[metric] = value
    return rows


def columns_shown() -> list[dict[str, Any]]:
    """Return the columns of a scoreboard: name, title, and whether it is a share."""
    return [{"name": n, "title": title, "share": n in SHARES} for n, title in COLUMNS.items()]


def score_cell(row: Mapping[str, float], column: str) -> str:
    """Return a metric of a scoreboard as text, a share in percent, with its interval."""
    if column not in row:
        return "–"
    value = row[column]
    if {f"{column}_low", f"{column}_high"} <= row.keys():
        low, high = row[f"{column}_low"], row[f"{column}_high"]
        if column == "gain":
            return f"{100 * value:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
        between = " to " if low < 0 else "–"
        return f"{100 * value:.1f} ({100 * low:.1f}{between}{100 * high:.1f})"
    if column in SHARES:
        return f"{100 * value:.1f}"
    return f"{value:.1f}" if column == "tokens" else f"{value:.3f}"


def stages_table(results: list[StageResult]) -> list[list[str]]:
    """Return what each stage started from and how long it took, as a table."""
    rows = [["stage", "kind", "starts from", "seconds"]]
    for result in results:
        spec = read_spec(result.folder)
        if spec is None:
            raise ConfigError([f"{result.folder}: has a result.json and no stage.yaml"])
        models = len(spec.settings.get("models", {}))
        start = _short(spec.settings.get("model") or (f"{models} models" if models else ""), spec)
        name = f"{result.stage} (kept)" if result.kept else result.stage
        rows.append([name, result.kind, start, f"{result.seconds:.0f}"])
    return rows


def kept_table(results: list[StageResult]) -> list[list[str]]:
    """Return what is used on the user's word though it would be made otherwise now, as a table."""
    rows = [["stage", "used on the user's word (keep), though"]]
    for result in results:
        rows += [[result.stage, line] for line in result.kept.get("differences", ())]
    return rows


def rewards_table(results: list[StageResult]) -> list[list[str]]:
    """Return how often each reward of each stage had a value, and what it cost, as a table."""
    rows = [["stage", "reward", "values", "abstained", "timeouts", "errors", "seconds"]]
    for result in results:
        path = result.folder / "scoring.json"
        try:
            rows += _of_rewards(path, result.stage) if path.exists() else []
        except (ValueError, LookupError, TypeError, AttributeError):
            say(f"{path} is damaged, and is left out of the report")
    return rows


def _of_rewards(path: Path, stage: str) -> list[list[str]]:
    """Return the rows of a stage's rewards; what is raised says that the file is damaged."""
    rows = []
    for name, reward in json.loads(path.read_text(encoding="utf-8")).items():
        counts = [str(reward["outcomes"].get(outcome, 0)) for outcome in OUTCOMES]
        rows.append([stage, name, *counts, f"{reward['seconds']:.1f}"])
    return rows


def _short(start: str, spec: StageSpec) -> str:
    inputs = spec.inputs.items()
    names = {path: reference for reference, path in inputs if path.endswith("model")}
    local = Path(start).is_absolute()
    return names.get(start, "/".join(Path(start).parts[-2:]) if local else start)


def training_summary(result: StageResult) -> str | None:
    """Return how a training stage's numbers moved, from its first tenth to its last."""
    rows = [
        {name: value for name, value in row.items() if isinstance(value, int | float)}
        for row in read_rows(result.folder / "metrics.jsonl")
    ]
    body = []
    for name in _movers(rows):
        values = [row[name] for row in rows if name in row]
        tenth = max(1, len(values) // 10)
        first, last = sum(values[:tenth]) / tenth, sum(values[-tenth:]) / tenth
        body.append([name, f"{first:.4g}", f"{last:.4g}"])
    head = ["metric", "first", "last"]
    return f"### {marked_down(result.stage)}\n\n{markdown([head, *body])}" if body else None


def _movers(rows: list[dict[str, float]]) -> list[str]:
    keys = {key for row in rows for key in row}
    chosen = ("reward", "completions/mean_length", "loss", "entropy", "kl", "mean_token_accuracy")
    rewards = sorted(k for k in keys if k.startswith("rewards/") and k.endswith("/mean"))
    held_out = sorted(k for k in keys if k.startswith("eval/") and k.endswith("/pass@1"))
    return [key for key in (*chosen, *rewards, *held_out) if key in keys]
