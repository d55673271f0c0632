"""The rewards `soft_overlong`, `cosine_length` and `group_length`.

A length is a number of tokens, the end token included. The last two depend on correctness, which is
another reward of the stage: 1 is correct, any other value is wrong, and if that reward has no value
these have none either.
"""

import math
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import r1trl
from r1trl import RewardName

ACCURACY = RewardName("accuracy")


class SoftOverlong:
    """Punish the last tokens before the length limit, each one more than the last.

    R = 0 for L ≤ max_tokens - cache, ((max_tokens - cache) - L) / cache up to max_tokens, and -1
    beyond (DAPO, arXiv 2503.14476, equation 13). `max_tokens` is the limit and `cache` the punished
    part before it, both in tokens. Raises ValueError unless 0 < cache < max_tokens.
    """

    def __init__(self, *, max_tokens: int, cache: int) -> None:
        if not 0 < cache < max_tokens:
            raise ValueError(f"cache={cache} must be from 1 to max_tokens - 1 = {max_tokens - 1}")
        self.unpunished_tokens, self.cache = max_tokens - cache, cache

    def __call__(
        self,
        prompts: list[str],
        completions: list[str],
        completion_ids: list[list[int]],
        **columns: Any,
    ) -> list[float]:
        """Return values from -1 to 0."""
        lengths = map(len, completion_ids)
        return [max(-1.0, min(0.0, (self.unpunished_tokens - n) / self.cache)) for n in lengths]


class CosineLength:
    """Reward short correct completions most, and punish short wrong ones most.

    R = end + (start - end) / 2 · (1 + cos(π · min(L / max_tokens, 1))) (Yeo et al., arXiv
    2502.03373, appendix C.1, without the extra penalty at the limit: `soft_overlong` is one).
    Correct goes from start = max_correct down to end = min_correct, wrong from start = min_wrong up
    to end = max_wrong. `correct` names the reward for correctness; if it is None, so is R. Raises
    ValueError unless max_tokens > 0 and each min is at most its max.
    """

    def __init__(
        self,
        *,
        max_tokens: int,
        min_wrong: float = -1.0,
        max_wrong: float = -0.5,
        min_correct: float = 0.5,
        max_correct: float = 1.0,
        correct: RewardName = ACCURACY,
    ) -> None:
        if max_tokens <= 0:
            raise ValueError(f"max_tokens={max_tokens} must be positive")
        if min_wrong > max_wrong or min_correct > max_correct:
            raise ValueError(
                f"a min above its max: wrong {min_wrong} to {max_wrong}, "
                f"correct {min_correct} to {max_correct}"
            )
        self.max_tokens, self.correct = max_tokens, correct
        self.right, self.wrong = (max_correct, min_correct), (min_wrong, max_wrong)

    def __call__(
        self,
        prompts: list[str],
        completions: list[str],
        completion_ids: list[list[int]],
        rewards: Mapping[str, list[float | None]],
        **columns: Any,
    ) -> list[float | None]:
        """Return values between the bounds; None if correctness is None."""
        pairs = zip(completion_ids, rewards[self.correct], strict=True)
        return [None if value is None else self.value(len(ids), value) for ids, value in pairs]

    def value(self, length: int, correctness: float) -> float:
        """Return the value of the schedule at a length in tokens."""
        start, end = self.right if correctness == 1.0 else self.wrong
        progress = min(length / self.max_tokens, 1.0)
        return end + 0.5 * (start - end) * (1.0 + math.cos(math.pi * progress))


@r1trl.describe(needs_groups=True)
def group_length(
    prompts: list[str],
    completions: list[str],
    completion_ids: list[list[int]],
    rewards: Mapping[str, list[float | None]],
    *,
    correct: RewardName = ACCURACY,
    **columns: Any,
) -> list[float | None]:
    """Score each length relative to the other completions of its prompt: short is good.

    λ = 0.5 - (L - min L) / (max L - min L); R = λ for correct, min(0, λ) for wrong, and 0 if all
    lengths are equal (Kimi k1.5, arXiv 2501.12599, section 2.3.3). `correct` names the reward for
    correctness; if it is None, R is None and the length is left out of min and max. A group is all
    rows of one process with the same prompt text; the plan makes sure that no group is split.
    """
    correctness = rewards[correct]
    groups: dict[str, list[int]] = defaultdict(list)
    for prompt, ids, value in zip(prompts, completion_ids, correctness, strict=True):
        if value is not None:
            groups[prompt].append(len(ids))
    return [
        None if value is None else relative_score(len(ids), groups[prompt], value)
        for prompt, ids, value in zip(prompts, completion_ids, correctness, strict=True)
    ]


def relative_score(length: int, group: list[int], correctness: float) -> float:
    """Return the score of a length among the lengths of its group."""
    shortest, longest = min(group), max(group)
    if shortest == longest:
        return 0.0
    score = 0.5 - (length - shortest) / (longest - shortest)
    return score if correctness == 1.0 else min(0.0, score)
