"""End a training stage at a bound: of a metric, of cut-off completions, of time or tokens."""

from r1trl import Progress, StageResult
from r1trl_handover.history import mean

CLIPPED = "completions/clipped_ratio"


class Threshold:
    """End the stage when `metric` has come to `above` or `below`, in its mean over `window`.

    `window` counts loggings; nothing is asked before there are so many. The model as it then is is
    handed over.
    """

    def __init__(
        self,
        *,
        metric: str = "reward",
        above: float | None = None,
        below: float | None = None,
        window: int = 5,
    ) -> None:
        if above is None and below is None:
            raise ValueError(f"a threshold on '{metric}' needs a bound: above or below")
        if window < 1:
            raise ValueError(f"window must be 1 or more, not {window}")
        self.metric, self.above, self.below, self.window = metric, above, below, window

    def __call__(self, result: StageResult) -> StageResult:
        """Hand over what there is."""
        return result

    def until(self, progress: Progress) -> str | None:
        """Return why the stage should end, or None; raise ValueError on a metric never logged."""
        values = progress.values(self.metric, 4 * self.window)
        if len(values) < self.window:
            return None
        found = mean(values[-self.window :])
        at = f"at step {progress.step} (mean of {self.window} loggings)"
        told = f"{self.metric} is {found:.4g} {at}"
        if self.above is not None and found >= self.above:
            return f"{told}, not less than {self.above:g}"
        if self.below is not None and found <= self.below:
            return f"{told}, not more than {self.below:g}"
        return None


class Truncation:
    """End the stage when many completions are cut off at their limit, and no longer fewer.

    That is when their share (`completions/clipped_ratio`) is, in the mean over the last `window`
    loggings, `most` or more, and not below that of the `window` before. The next stage can then
    allow longer ones: contexts of 8k, 16k and 24k tokens in turn.
    """

    def __init__(self, *, most: float = 0.1, window: int = 10) -> None:
        if window < 1:
            raise ValueError(f"window must be 1 or more, not {window}")
        self.most, self.window = most, window

    def __call__(self, result: StageResult) -> StageResult:
        """Hand over what there is."""
        return result

    def until(self, progress: Progress) -> str | None:
        """Return why the stage should end, or None; raise ValueError where it is not logged."""
        window = self.window
        shares = progress.values(CLIPPED, 4 * window)
        if len(shares) < 2 * window:
            return None
        before, last = mean(shares[-2 * window : -window]), mean(shares[-window:])
        if last < max(self.most, before):
            return None
        return (
            f"{last:.1%} of the completions are cut off at step {progress.step}, in the {window} "
            f"loggings before it was {before:.1%}: they need more tokens than are allowed"
        )


class Budget:
    """End the stage when its time or its tokens are spent.

    `hours` of training, over all attempts; `tokens` are those trained on, prompts included, as TRL
    counts them (`num_tokens`). The model as it then is is handed over.
    """

    def __init__(self, *, hours: float | None = None, tokens: int | None = None) -> None:
        if hours is None and tokens is None:
            raise ValueError("a budget needs a bound: hours or tokens")
        self.hours, self.tokens = hours, tokens

    def __call__(self, result: StageResult) -> StageResult:
        """Hand over what there is."""
        return result

    def until(self, progress: Progress) -> str | None:
        """Return what is spent, or None; raise ValueError where tokens are not logged."""
        if self.hours is not None and progress.seconds >= 3600 * self.hours:
            took = f"{progress.seconds / 3600:.3g} of {self.hours:g} hours"
            return f"{took} are spent at step {progress.step} of {progress.max_steps}"
        if self.tokens is None:
            return None
        counts = progress.values("num_tokens", patience=4)
        if not counts or counts[-1] < self.tokens:
            return None
        spent = f"{counts[-1]:.4g} of {self.tokens:.4g} tokens"
        return f"{spent} are spent at step {progress.step} of {progress.max_steps}"
