"""Alarms for reward hacking: a reward that rises while the quality it stands for falls."""

from dataclasses import replace
from statistics import fmean

from r1trl import Progress
from r1trl_alarms.alarm import Alarm, at_least_one, means


class RewardHacking(Alarm):
    """Fail the stage when the metric `reward` has risen while the metric `canary` fell.

    Means are over windows of `window` loggings of `canary`; to each belongs the mean of `reward`
    since the one before. It fails if, since the best window of `canary`, the mean of `canary` has
    fallen by `fall` or more and the mean of `reward` has risen by `rise` or more. DeepSeek-R1's
    reward model was hacked so (arXiv 2501.12948v2, section B.5). Both are metrics as they are
    logged, such as rewards/accuracy/mean, or eval/held_out/pass@1 of a stage with `evaluate`, then
    with a `window` of a few evaluations.
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
        rows = self._pairs(progress)
        paired = replace(progress, history=rows)
        canary, reward = (means(paired, name, self.window) for name in (self.canary, self.reward))
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

    def _pairs(self, progress: Progress) -> list[dict[str, float]]:
        """Return the rows with the canary, each with the mean of the rewards since the last one.

        Before the first reward, as at step 0, it is the first one. Raises ValueError if one of the
        two is not logged.
        """
        known = progress.values(self.reward, 4 * self.window)[:1]
        progress.values(self.canary, 4 * self.window)
        pairs, since = list[dict[str, float]](), list[float]()
        for row in progress.history:
            since += [row[self.reward]] if row.get(self.reward) is not None else []
            if row.get(self.canary) is not None and (since or known):
                pairs.append({**row, self.reward: fmean(since or known)})
                known, since = since[-1:] or known, []
        return pairs


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
