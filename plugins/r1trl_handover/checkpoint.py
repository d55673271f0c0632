"""Hand over the best of a stage's checkpoints instead of its last model."""

import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Literal

from r1trl import StageResult
from r1trl_handover.history import Row, logged, mean, missing, names, read
from r1trl_handover.weights import checkpoint, checkpoints, remove_weights, weight_files


def best_checkpoint(
    result: StageResult,
    *,
    metric: str = "reward",
    mode: Literal["max", "min"] = "max",
    window: int = 1,
) -> StageResult:
    """Replace the weights handed over by those of the saved checkpoint that did best.

    A checkpoint's score is the mean of `metric` over the last `window` rows logged up to its step;
    of equals the earlier wins. The step is recorded as the metric `best_checkpoint`. Raises
    ValueError where there is no model, no checkpoint or no such metric.
    """
    if result.model is None:
        raise ValueError(f"stage '{result.stage}' hands over no model to replace")
    rows = read(result.folder)
    if not logged(rows, metric):
        raise missing(metric, names(rows))
    sign = 1 if mode == "max" else -1
    scores = {step: sign * score(rows, metric, step, window) for step in checkpoints(result.folder)}
    known = {step: value for step, value in scores.items() if math.isfinite(value)}
    if not known:
        raise ValueError(nothing_to_choose(result, metric, names(rows)))
    best = max(known, key=lambda step: known[step])
    copy_weights(checkpoint(result.folder, best), result.model)
    return replace(result, metrics={**result.metrics, "best_checkpoint": best})


def score(rows: list[Row], metric: str, step: int, window: int) -> float:
    """Return the mean of the last `window` values up to a step; NaN where there is none."""
    return mean(logged((row for row in rows if row["step"] <= step), metric)[-window:])


def nothing_to_choose(result: StageResult, metric: str, known: set[str]) -> str:
    """Say why no checkpoint can be chosen."""
    saved = ", ".join(map(str, checkpoints(result.folder))) or "none"
    return (
        f"no checkpoint of stage '{result.stage}' has a value of '{metric}' up to its step; "
        f"checkpoints: {saved}; metrics: {', '.join(sorted(known))}"
    )


def copy_weights(source: Path, target: Path) -> None:
    """Put a checkpoint's weight files in the place of a model folder's, and leave all the rest."""
    files = weight_files(source, target)
    remove_weights(target)
    for file in files:
        shutil.copy2(file, target / file.name)
