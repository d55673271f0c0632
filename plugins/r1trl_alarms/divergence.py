"""The alarm for a training that has gone wild."""

import statistics

from r1trl import Progress
from r1trl_alarms.alarm import Alarm, at_least_one

WATCHED = ("loss", "grad_norm", "reward", "kl")


class Divergence(Alarm):
    """Fail when the loss, the gradient, the reward or the divergence from the reference goes wild.

    That is one that is no number; gradients whose norm is, `times` loggings in a row, above
    `grad_norm` and above `factor` times the median of all before; or a `kl` above its bound.
    """

    def __init__(
        self, *, grad_norm: float = 1.0, factor: float = 20.0, times: int = 3, kl: float = 10.0
    ) -> None:
        self.grad_norm, self.factor, self.kl = grad_norm, factor, kl
        self.times = at_least_one("times", times)

    def seen(self, progress: Progress) -> str | None:
        """Return what has gone wild in the newest rows."""
        newest = progress.latest
        for metric in WATCHED:
            if metric in newest and newest[metric] is None:  # what is not finite is logged as None
                return f"{metric} is not a number at step {progress.step}"
        kl = newest.get("kl")
        if kl is not None and kl > self.kl:
            return f"kl is {kl:.3g} at step {progress.step}, more than {self.kl:g}"
        return self._gradients(progress)

    def _gradients(self, progress: Progress) -> str | None:
        norms = progress.values("grad_norm", 4 * self.times)
        before, last = norms[: -self.times], norms[-self.times :]
        if len(before) < self.times:
            return None
        usual = statistics.median(before)
        if min(last) <= max(self.grad_norm, self.factor * usual):
            return None
        return (
            f"the norm of the gradient is {', '.join(f'{n:.3g}' for n in last)} up to step "
            f"{progress.step}; its median before was {usual:.3g}"
        )
