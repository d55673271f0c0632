"""Alarms for reward hacking: a reward that rises while the quality it stands for falls."""

from dataclasses import replace

from r1trl import Progress
from r1trl_alarms.alarm import Alarm, at_least_one, means, rows_with


class RewardHacking(Alarm):
    """Fail the stage when the metric `reward` has risen while the metric `canary` fell.

    Means are over windows of `window` loggings. It fails if, since the best window of `canary`, the
    mean of `canary` has fallen by `fall` or more and the mean of `reward` has risen by `rise` or
    more. DeepSeek-R1's reward model was hacked so (arXiv 2501.12948v2, section B.5). Both are
    metrics as TRL logs them, such as rewards/accuracy/mean.
    """

    def __init__(
        self,
        *,
        canary: str,
        reward: str = "reward",
        rise: float = 0.05,
        fall: float = 0.1,
        window: int = 10,
    ) -> None:
        self.canary, self.reward, self.rise, self.fall = canary, reward, rise, fall
        self.window = at_least_one("window", window)

    def diagnose(self, progress: Progress) -> str | None:
        """Return by how much the metrics have risen and fallen, or None."""
        rows = rows_with(progress, self.canary)
        canary = means(progress, self.canary, self.window)
        reward = means(replace(progress, history=rows), self.reward, self.window)
        if len(canary) < 2 or len(reward) != len(canary):
            return None
        best = max(range(len(canary)), key=canary.__getitem__)
        fell, rose = canary[best] - canary[-1], reward[-1] - reward[best]
        if fell < self.fall or rose < self.rise:
            return None
        return (
            f"{self.canary} has fallen from {canary[best]:.3g} to {canary[-1]:.3g} while "
            f"{self.reward} rose from {reward[best]:.3g} to {reward[-1]:.3g} (means of "
            f"{self.window} loggings, the first around step {rows[best + self.window - 1]['step']})"
        )


class FormatOverAccuracy(RewardHacking):
    """Fail the stage when accuracy has fallen by `fall` while the format is kept as well or better.

    Both are compared with the best window of `window` loggings of the metric `accuracy`.
    """

    def __init__(
        self,
        *,
        format: str = "rewards/think_format/mean",
        accuracy: str = "rewards/accuracy/mean",
        fall: float = 0.1,
        window: int = 10,
    ) -> None:
        super().__init__(canary=accuracy, reward=format, rise=0.0, fall=fall, window=window)
