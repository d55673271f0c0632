"""Hand over the best of a stage's checkpoints in place of its last model."""

import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Literal

from r1trl import StageResult
from r1trl_handover.history import Row, logged, mean, metric_names, read, unknown_metric
from r1trl_handover.weights import checkpoint_folder, checkpoint_steps, remove_weights, weight_files


def best_checkpoint(
    result: StageResult,
    *,
    metric: str = "reward",
    mode: Literal["max", "min"] = "max",
    window: int = 1,
) -> StageResult:
    """Replace the model's weights by those of the saved checkpoint with the best score.

    A checkpoint's score is the mean of `metric` over the last `window` rows logged up to its step;
    of equals the earlier wins. The step becomes the metric `best_checkpoint`. Raises ValueError if
    there is no model, no checkpoint or no such metric.
    """
    if result.model is None:
        raise ValueError(f"stage '{result.stage}' hands over no model to replace")
    rows = read(result.folder)
    if not logged(rows, metric):
        raise unknown_metric(metric, metric_names(rows))
    sign = 1 if mode == "max" else -1
    steps = checkpoint_steps(result.folder)
    scores = {step: sign * score(rows, metric, step, window) for step in steps}
    finite = {step: value for step, value in scores.items() if math.isfinite(value)}
    if not finite:
        raise ValueError(no_score(result, metric, metric_names(rows)))
    best = max(finite, key=lambda step: finite[step])
    copy_weights(checkpoint_folder(result.folder, best), result.model)
    return replace(result, metrics={**result.metrics, "best_checkpoint": best})


def score(rows: list[Row], metric: str, step: int, window: int) -> float:
    """Return the mean of the last `window` values up to a step; NaN if there is none."""
    return mean(logged((row for row in rows if row["step"] <= step), metric)[-window:])


def no_score(result: StageResult, metric: str, available: set[str]) -> str:
    """Return the message that no checkpoint has a score."""
    steps = ", ".join(map(str, checkpoint_steps(result.folder))) or "none"
    return (
        f"no checkpoint of stage '{result.stage}' has a value of '{metric}' up to its step; "
        f"checkpoints: {steps}; metrics: {', '.join(sorted(available))}"
    )


def copy_weights(source: Path, target: Path) -> None:
    """Replace a model folder's weight files by a checkpoint's; keep all other files."""
    files = weight_files(source, target)
    remove_weights(target)
    for file in files:
        shutil.copy2(file, target / file.name)
