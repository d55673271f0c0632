"""Hand over the best of a stage's checkpoints in place of its last model."""

import math
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from r1trl import Progress, StageResult
from r1trl_handover.history import logged, mean, metric_names, read, unknown_metric
from r1trl_handover.weights import checkpoint_folder, checkpoint_steps, remove_weights, weight_files


class BestCheckpoint:
    """Replace the model's weights by those of the saved checkpoint with the best score.

    A checkpoint's score is the mean of `metric` over the last `window` rows logged up to its step;
    of equals the earlier wins. The best so far is kept whatever `args.save_total_limit` says. The
    step becomes the metric `best_checkpoint`. Raises ValueError if `window` is under 1, if there is
    no model, no checkpoint or no such metric.
    """

    min_checkpoints = 1

    def __init__(
        self, *, metric: str = "reward", mode: Literal["max", "min"] = "max", window: int = 1
    ) -> None:
        if window < 1:
            raise ValueError(f"window must be 1 or more, not {window}")
        self.metric, self.mode, self.window = metric, mode, window

    def keep_checkpoints(self, progress: Progress, steps: Sequence[int]) -> list[int]:
        """Return the best step so far; raise ValueError if the metric is not logged."""
        progress.values(self.metric, 4 * self.window)
        best = self.best(progress.history, steps)
        return [] if best is None else [best]

    def __call__(self, result: StageResult) -> StageResult:
        """Return the result with the best checkpoint's weights in its model."""
        if result.model is None:
            raise ValueError(f"stage '{result.stage}' hands over no model to replace")
        rows, steps = read(result.folder), checkpoint_steps(result.folder)
        if not logged(rows, self.metric):
            raise unknown_metric(self.metric, metric_names(rows))
        best = self.best(rows, steps)
        if best is None:
            raise ValueError(
                f"no checkpoint of stage '{result.stage}' has a value of '{self.metric}' up to its "
                f"step; checkpoints: {', '.join(map(str, steps)) or 'none'}; metrics: "
                f"{', '.join(sorted(metric_names(rows)))}"
            )
        copy_weights(checkpoint_folder(result.folder, best), result.model)
        return replace(result, metrics={**result.metrics, "best_checkpoint": best})

    def best(self, rows: Iterable[Mapping[str, float]], steps: Sequence[int]) -> int | None:
        """Return the step with the best score; None if no score is a finite number."""
        rows, sign = list(rows), 1 if self.mode == "max" else -1
        scores = {step: sign * self._score(rows, step) for step in steps}
        finite = [step for step in steps if math.isfinite(scores[step])]
        return max(finite, key=scores.__getitem__, default=None)

    def _score(self, rows: Iterable[Mapping[str, float]], step: int) -> float:
        """Return the mean of the last `window` values up to a step; NaN if there is none."""
        before = (row for row in rows if row["step"] <= step)
        return mean(logged(before, self.metric)[-self.window :])


def copy_weights(source: Path, target: Path) -> None:
    """Replace a model folder's weight files by a checkpoint's; keep all other files."""
    files = weight_files(source, target)
    remove_weights(target)
    for file in files:
        shutil.copy2(file, target / file.name)
