"""End a training stage that no longer improves."""

import r1trl
from r1trl import Progress, StageResult
from r1trl_handover.history import mean


@r1trl.describe(aliases={"least_gain": "min_delta"})
class Plateau:
    """End the stage when `metric` no longer rises.

    It ends if the mean of the last `window` logged values exceeds the mean of the `window` before
    by less than `min_delta`; with fewer than two windows it continues. A negative `min_delta`
    tolerates a fall. The current model is handed over. Raises ValueError if `window` is under 1.
    """

    def __init__(
        self, *, metric: str = "reward", window: int = 20, min_delta: float = 0.01
    ) -> None:
        if window < 1:
            raise ValueError(f"plateau needs a window of at least 1, not {window}")
        self.metric, self.window, self.min_delta = metric, window, min_delta

    def __call__(self, result: StageResult) -> StageResult:
        """Return the result unchanged."""
        return result

    def should_stop(self, progress: Progress) -> str | None:
        """Return why the stage should end, or None.

        Raises ValueError if the metric is not logged.
        """
        values = progress.values(self.metric, self.window)
        if len(values) < 2 * self.window:
            return None
        before, last = (mean(values[-2 * self.window : -self.window]), mean(values[-self.window :]))
        if last - before >= self.min_delta:
            return None
        return (
            f"{self.metric} has levelled off at step {progress.step}: its mean over the last "
            f"{self.window} loggings is {last:.4g}, over those before {before:.4g}, "
            f"a gain of less than {self.min_delta:g}"
        )
