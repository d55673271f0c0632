"""The alarm for training that diverges."""

import statistics

from r1trl import Progress
from r1trl_alarms.alarm import Alarm, at_least_one

WATCHED = ("loss", "reward", "kl")  # a step that float16's scaling skips has no gradient norm


class Divergence(Alarm):
    """Fail the stage when a metric is not finite, or the gradient norm or KL divergence too large.

    It fails if the loss, reward or KL divergence is not finite, if the gradient norm is above
    `grad_norm` and above `factor` times the median of all earlier ones in `times` successive
    loggings, or if the KL divergence from the reference is above `kl` (nats).
    """

    def __init__(
        self, *, grad_norm: float = 1.0, factor: float = 20.0, times: int = 3, kl: float = 10.0
    ) -> None:
        self.grad_norm, self.factor, self.kl = grad_norm, factor, kl
        self.times = at_least_one("times", times)

    def diagnose(self, progress: Progress) -> str | None:
        """Return which metric is not finite or too large, or None."""
        latest = progress.latest
        for metric in WATCHED:
            if metric in latest and latest[metric] is None:  # what is not finite is logged as None
                return f"{metric} is not a number at step {progress.step}"
        kl = latest.get("kl")
        if kl is not None and kl > self.kl:
            return f"kl is {kl:.3g} at step {progress.step}, more than {self.kl:g}"
        return self._gradient_problem(progress)

    def _gradient_problem(self, progress: Progress) -> str | None:
        norms = progress.values("grad_norm", 4 * self.times)
        before, last = norms[: -self.times], norms[-self.times :]
        if len(before) < self.times:
            return None
        median = statistics.median(before)
        if min(last) <= max(self.grad_norm, self.factor * median):
            return None
        return (
            f"the norm of the gradient is {', '.join(f'{n:.3g}' for n in last)} up to step "
            f"{progress.step}; its median before was {median:.3g}"
        )
