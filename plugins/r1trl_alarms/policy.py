"""Alarms for a policy that has stopped to explore, or talks without end."""

from dataclasses import replace

from r1trl import Progress, StageResult
from r1trl_alarms.alarm import Alarm, at_least_one, means, with_values


class EntropyCollapse(Alarm):
    """Fail when the policy's entropy has gone and nothing was gained for it.

    Over windows of `window` loggings: the mean of TRL's `entropy` (nats per token) is under `least`
    and under the share `share` of its first window, and the mean reward is not above that of its
    first window by `gain`. A policy that has learned a task is certain too, but of something good.
    """

    def __init__(
        self, *, least: float = 0.05, share: float = 0.1, gain: float = 0.1, window: int = 5
    ) -> None:
        self.least, self.share, self.gain = least, share, gain
        self.window = at_least_one("window", window)

    def seen(self, progress: Progress) -> str | None:
        """Return what the entropy was and is."""
        entropy = means(progress, "entropy", self.window)
        reward = means(progress, "reward", self.window)
        if len(entropy) < 2 or len(reward) < 2:
            return None
        low = entropy[-1] < self.least and entropy[-1] < self.share * entropy[0]
        if not low or reward[-1] - reward[0] >= self.gain:
            return None
        return (
            f"the policy has collapsed by step {progress.step}: its entropy fell from "
            f"{entropy[0]:.3g} to {entropy[-1]:.3g} while the reward went from {reward[0]:.3g} to "
            f"{reward[-1]:.3g} (means of {self.window} loggings)"
        )


class LengthRunaway(Alarm):
    """Fail when completions grow and the reward falls.

    Over windows of `window` loggings: since the window with the best mean reward, the mean length
    of completions has grown by the factor `factor` or more, and the reward has lost at least a
    tenth of what it had gained since its first window, or `fall`, whichever is more.
    """

    def __init__(self, *, factor: float = 1.5, fall: float = 0.05, window: int = 10) -> None:
        if factor <= 1:
            raise ValueError(f"factor must be above 1, not {factor:g}")
        self.factor, self.fall, self.window = factor, fall, at_least_one("window", window)

    def seen(self, progress: Progress) -> str | None:
        """Return how completions have grown, and what became of the reward."""
        rewarded = replace(progress, history=with_values(progress, "reward"))
        reward = means(progress, "reward", self.window)
        length = means(rewarded, "completions/mean_length", self.window)
        if len(reward) < 2 or len(length) != len(reward):
            return None
        best = max(range(len(reward)), key=reward.__getitem__)
        lost = reward[best] - reward[-1]
        enough = max(self.fall, 0.1 * (reward[best] - reward[0]))
        if length[-1] < self.factor * length[best] or lost < enough:
            return None
        return (
            f"completions have grown from {length[best]:.4g} to {length[-1]:.4g} tokens since the "
            f"reward was best, and it fell from {reward[best]:.3g} to {reward[-1]:.3g} "
            f"(means of {self.window} loggings)"
        )


class EqualRewards(Alarm):
    """Fail when in `window` rollouts in a row no group had rewards that differ.

    Nothing can be learned from them (TRL's `frac_reward_zero_std` is 1): the reward is constant, or
    all completions of a prompt are alike. Where the reward is then as high as it ever was, and
    higher than at first, everything is solved: the stage ends, and hands its model over.
    """

    solved = False

    def __init__(self, *, window: int = 10) -> None:
        self.window = at_least_one("window", window)

    def __call__(self, result: StageResult) -> StageResult:
        """Hand over what there is; raise StageError where not everything was solved."""
        return result if self.solved else super().__call__(result)

    def seen(self, progress: Progress) -> str | None:
        """Return since when nothing could be learned."""
        shares = progress.values("frac_reward_zero_std", 4 * self.window)[-self.window :]
        if len(shares) < self.window or min(shares) < 1:
            return None
        reward = means(progress, "reward", self.window)
        self.solved = reward[-1] > reward[0] and reward[-1] >= max(reward)
        what = "everything is solved" if self.solved else "it is constant, or completions are alike"
        return (
            f"in the last {self.window} rollouts, up to step {progress.step}, every prompt's "
            f"completions had equal rewards (mean {reward[-1]:.3g}), from which nothing can be "
            f"learned: {what}"
        )
