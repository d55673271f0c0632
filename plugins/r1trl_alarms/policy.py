"""Alarms for a policy that no longer explores, writes ever longer, or learns nothing."""

from dataclasses import replace

from r1trl import Progress, StageResult
from r1trl_alarms.alarm import Alarm, at_least_one, means, rows_with


class EntropyCollapse(Alarm):
    """Fail the stage when the policy's entropy has collapsed without a gain in reward.

    Means are over windows of `window` loggings. It fails if the mean of TRL's `entropy` (nats per
    token) is under `min_entropy` and under the share `min_share` of its first window's, and the
    mean reward exceeds that of its first window by less than `min_gain`. Low entropy with a gain is
    no failure: a policy that has learned a task is certain too.
    """

    def __init__(
        self,
        *,
        min_entropy: float = 0.05,
        min_share: float = 0.1,
        min_gain: float = 0.1,
        window: int = 5,
    ) -> None:
        self.min_entropy, self.min_share, self.min_gain = min_entropy, min_share, min_gain
        self.window = at_least_one("window", window)

    def diagnose(self, progress: Progress) -> str | None:
        """Return how entropy and reward have changed if the policy has collapsed, or None."""
        entropy = means(progress, "entropy", self.window)
        reward = means(progress, "reward", self.window)
        if len(entropy) < 2 or len(reward) < 2:
            return None
        low = entropy[-1] < self.min_entropy and entropy[-1] < self.min_share * entropy[0]
        if not low or reward[-1] - reward[0] >= self.min_gain:
            return None
        return (
            f"the policy has collapsed by step {progress.step}: its entropy fell from "
            f"{entropy[0]:.3g} to {entropy[-1]:.3g} while the reward went from {reward[0]:.3g} to "
            f"{reward[-1]:.3g} (means of {self.window} loggings)"
        )


class LengthRunaway(Alarm):
    """Fail the stage when completions grow and the reward falls.

    Means are over windows of `window` loggings. It fails if, since the window with the best mean
    reward, the mean length of completions has grown by the factor `factor` or more, and the mean
    reward has fallen by `fall` or by a tenth of its gain since the first window, whichever is more.
    """

    def __init__(self, *, factor: float = 1.5, fall: float = 0.05, window: int = 10) -> None:
        if factor <= 1:
            raise ValueError(f"factor must be above 1, not {factor:g}")
        self.factor, self.fall, self.window = factor, fall, at_least_one("window", window)

    def diagnose(self, progress: Progress) -> str | None:
        """Return how far completions have grown and the reward has fallen, or None."""
        rewarded = replace(progress, history=rows_with(progress, "reward"))
        reward = means(progress, "reward", self.window)
        length = means(rewarded, "completions/mean_length", self.window)
        if len(reward) < 2 or len(length) != len(reward):
            return None
        best = max(range(len(reward)), key=reward.__getitem__)
        lost = reward[best] - reward[-1]
        min_loss = max(self.fall, 0.1 * (reward[best] - reward[0]))
        if length[-1] < self.factor * length[best] or lost < min_loss:
            return None
        return (
            f"completions have grown from {length[best]:.4g} to {length[-1]:.4g} tokens since the "
            f"reward was best, and it fell from {reward[best]:.3g} to {reward[-1]:.3g} "
            f"(means of {self.window} loggings)"
        )


class EqualRewards(Alarm):
    """Fail the stage when all groups of `window` successive rollouts have equal rewards.

    Nothing can be learned from them (TRL's `frac_reward_zero_std` is 1): the reward is constant, or
    all completions of a prompt are alike. If the mean reward is then the highest so far, and higher
    than at first, all problems are solved: the stage ends without an error and hands its model
    over.
    """

    solved = False

    def __init__(self, *, window: int = 10) -> None:
        self.window = at_least_one("window", window)

    def __call__(self, result: StageResult) -> StageResult:
        """Return the result unchanged; raise StageError on a diagnosis, unless all is solved."""
        return result if self.solved else super().__call__(result)

    def diagnose(self, progress: Progress) -> str | None:
        """Return since when nothing could be learned, or None."""
        shares = progress.values("frac_reward_zero_std", 4 * self.window)[-self.window :]
        if len(shares) < self.window or min(shares) < 1:
            return None
        reward = means(progress, "reward", self.window)
        self.solved = reward[-1] > reward[0] and reward[-1] >= max(reward)
        cause = (
            "everything is solved" if self.solved else "it is constant, or completions are alike"
        )
        return (
            f"in the last {self.window} rollouts, up to step {progress.step}, every prompt's "
            f"completions had equal rewards (mean {reward[-1]:.3g}), from which nothing can be "
            f"learned: {cause}"
        )
