"""The guard `retry`: a completion that a verdict fails is generated again."""

from collections.abc import Sequence
from dataclasses import replace

from r1trl import Completion, Policy, RewardName


class Retry:
    """Generate a completion again while one of `rewards` is below `min_value`, up to `tries` times.

    For verdicts that need no gold answer: the format, the language. A reward without a value, as it
    does not apply or has failed, asks for nothing. The last try is returned if none passes; so at
    temperature 0 this only costs.
    """

    def __init__(
        self, *, rewards: list[RewardName], tries: int = 2, min_value: float = 1.0
    ) -> None:
        if not rewards:
            raise ValueError("rewards: name at least one reward of the stage")
        if tries < 1:
            raise ValueError(f"tries must be 1 or more, not {tries}")
        self.rewards, self.tries, self.min_value = rewards, tries, min_value

    def generate(self, completions: Sequence[Completion], policy: Policy) -> list[Completion]:
        """Return a completion for each one given, with the cost of all tries."""
        kept = policy.generate(completions)
        failed = list(range(len(kept)))
        for _ in range(self.tries):
            failed = self._failed(kept, failed, policy)
            if not failed:
                break
            again = [
                replace(completions[i], generated_tokens=kept[i].generated_tokens) for i in failed
            ]
            for i, completion in zip(failed, policy.generate(again), strict=True):
                kept[i] = completion
        return kept

    def _failed(
        self, completions: Sequence[Completion], among: Sequence[int], policy: Policy
    ) -> list[int]:
        """Return the indices, among those given, of completions that a reward is too low for."""
        failed = set()
        for reward in self.rewards:
            left = [i for i in among if i not in failed]
            scores = policy.score([completions[i] for i in left], reward)
            pairs = zip(left, scores, strict=True)
            failed |= {i for i, score in pairs if score is not None and score < self.min_value}
        return sorted(failed)
