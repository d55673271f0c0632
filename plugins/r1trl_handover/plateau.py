"""End a training stage that no longer gets better."""

from r1trl import Progress, StageResult
from r1trl_handover.history import mean


class Plateau:
    """End the stage when `metric` has stopped rising.

    The mean of its last `window` logged values has to exceed the mean of the `window` before them
    by at least `least_gain`; nothing is asked before there are two windows. Give a negative
    `least_gain` to tolerate a fall. The model as it then is is handed over.
    """

    def __init__(
        self, *, metric: str = "reward", window: int = 20, least_gain: float = 0.01
    ) -> None:
        if window < 1:
            raise ValueError(f"plateau needs a window of at least 1, not {window}")
        self.metric, self.window, self.least_gain = metric, window, least_gain

    def __call__(self, result: StageResult) -> StageResult:
        """Hand over what there is."""
        return result

    def until(self, progress: Progress) -> str | None:
        """Return why the stage should end, or None; raise ValueError on a metric never logged."""
        values = progress.values(self.metric, self.window)
        if len(values) < 2 * self.window:
            return None
        before, last = (mean(values[-2 * self.window : -self.window]), mean(values[-self.window :]))
        if last - before >= self.least_gain:
            return None
        return (
            f"{self.metric} has levelled off at step {progress.step}: its mean over the last "
            f"{self.window} loggings is {last:.4g}, over those before {before:.4g}, "
            f"a gain of less than {self.least_gain:g}"
        )
