"""End a training stage at a bound: of a metric, of truncated completions, of time or tokens."""

from r1trl import Progress, StageResult
from r1trl_handover.history import mean

CLIPPED = "completions/clipped_ratio"


class Threshold:
    """End the stage when the mean of `metric` over `window` reaches `above` or `below`.

    `window` counts logged values; with fewer of them the stage continues. The current model is
    handed over. Raises ValueError if neither bound is given.
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
        """Return the result unchanged."""
        return result

    def should_stop(self, progress: Progress) -> str | None:
        """Return why the stage should end, or None.

        Raises ValueError if the metric is not logged.
        """
        values = progress.values(self.metric, 4 * self.window)
        if len(values) < self.window:
            return None
        value = mean(values[-self.window :])
        step = f"at step {progress.step} (mean of {self.window} loggings)"
        message = f"{self.metric} is {value:.4g} {step}"
        if self.above is not None and value >= self.above:
            return f"{message}, not less than {self.above:g}"
        if self.below is not None and value <= self.below:
            return f"{message}, not more than {self.below:g}"
        return None


class Truncation:
    """End the stage when many completions are truncated, and their share no longer falls.

    The share is `completions/clipped_ratio`. The stage ends if its mean over the last `window`
    logged values is at least `max_share`, and at least the mean over the `window` before. The next
    stage can then allow longer completions: contexts of 8k, 16k and 24k tokens in turn.
    """

    def __init__(self, *, max_share: float = 0.1, window: int = 10) -> None:
        if window < 1:
            raise ValueError(f"window must be 1 or more, not {window}")
        self.max_share, self.window = max_share, window

    def __call__(self, result: StageResult) -> StageResult:
        """Return the result unchanged."""
        return result

    def should_stop(self, progress: Progress) -> str | None:
        """Return why the stage should end, or None.

        Raises ValueError if the share is not logged.
        """
        window = self.window
        shares = progress.values(CLIPPED, 4 * window)
        if len(shares) < 2 * window:
            return None
        before, last = mean(shares[-2 * window : -window]), mean(shares[-window:])
        if last < max(self.max_share, before):
            return None
        return (
            f"{last:.1%} of the completions are cut off at step {progress.step}, in the {window} "
            f"loggings before it was {before:.1%}: they need more tokens than are allowed"
        )


class Budget:
    """End the stage when its time or its tokens are spent.

    `hours` counts training over all attempts; `tokens` counts tokens trained on, prompts included,
    as TRL does (`num_tokens`). The current model is handed over. Raises ValueError if neither
    bound is given.
    """

    def __init__(self, *, hours: float | None = None, tokens: int | None = None) -> None:
        if hours is None and tokens is None:
            raise ValueError("a budget needs a bound: hours or tokens")
        self.hours, self.tokens = hours, tokens

    def __call__(self, result: StageResult) -> StageResult:
        """Return the result unchanged."""
        return result

    def should_stop(self, progress: Progress) -> str | None:
        """Return what is spent, or None.

        Raises ValueError if tokens are bounded and not logged.
        """
        if self.hours is not None and progress.seconds >= 3600 * self.hours:
            spent = f"{progress.seconds / 3600:.3g} of {self.hours:g} hours"
            return f"{spent} are spent at step {progress.step} of {progress.max_steps}"
        if self.tokens is None:
            return None
        counts = progress.values("num_tokens", patience=4)
        if not counts or counts[-1] < self.tokens:
            return None
        spent = f"{counts[-1]:.4g} of {self.tokens:.4g} tokens"
        return f"{spent} are spent at step {progress.step} of {progress.max_steps}"
