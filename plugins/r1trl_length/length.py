"""The rewards `soft_overlong`, `cosine_length` and `group_length`.

A length is a number of tokens, the end token among them. The last two weigh it by whether the
completion is correct, which another reward of the stage says: 1 is correct, any other value is
wrong, and where that reward has no value these have none either.
"""

import math
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from r1trl import RewardName

ACCURACY = RewardName("accuracy")


class SoftOverlong:
    """Punish the last tokens before the length limit, more with each of them.

    R = 0 for L ≤ max_tokens - cache, ((max_tokens - cache) - L) / cache up to max_tokens, and -1
    beyond (DAPO, arXiv 2503.14476, equation 13). `max_tokens` is the limit and `cache` its punished
    last part, both in tokens. Raises ValueError unless 0 < cache < max_tokens.
    """

    def __init__(self, *, max_tokens: int, cache: int) -> None:
        if not 0 < cache < max_tokens:
            raise ValueError(f"cache={cache} must be from 1 to max_tokens - 1 = {max_tokens - 1}")
        self.free, self.cache = max_tokens - cache, cache

    def __call__(
        self,
        prompts: list[str],
        completions: list[str],
        completion_ids: list[list[int]],
        **columns: Any,
    ) -> list[float]:
        """Return values from -1 to 0."""
        return [max(-1.0, min(0.0, (self.free - len(ids)) / self.cache)) for ids in completion_ids]


class CosineLength:
    """Reward short correct completions most, and punish short wrong ones most.

    R = end + (start - end) / 2 · (1 + cos(π · min(L / max_tokens, 1))) (Yeo et al., arXiv
    2502.03373, appendix C.1, without the extra penalty at the limit: `soft_overlong` is one).
    Correct goes from start = max_correct down to end = min_correct, wrong from start = min_wrong up
    to end = max_wrong. `correct` names the reward that says which it is; where that one abstains,
    so does this. Raises ValueError unless max_tokens > 0 and each min is at most its max.
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
        """Return values between the bounds; None where correctness is not known."""
        pairs = zip(completion_ids, rewards[self.correct], strict=True)
        return [None if value is None else self.value(len(ids), value) for ids, value in pairs]

    def value(self, length: int, correctness: float) -> float:
        """Return the point of the schedule for a length in tokens."""
        start, end = self.right if correctness == 1.0 else self.wrong
        done = min(length / self.max_tokens, 1.0)
        return end + 0.5 * (start - end) * (1.0 + math.cos(math.pi * done))


def group_length(
    prompts: list[str],
    completions: list[str],
    completion_ids: list[list[int]],
    rewards: Mapping[str, list[float | None]],
    *,
    correct: RewardName = ACCURACY,
    **columns: Any,
) -> list[float | None]:
    """Compare each length with the other completions of its prompt: short is good.

    λ = 0.5 - (L - min L) / (max L - min L); R = λ for correct, min(0, λ) for wrong, and 0 where all
    lengths are equal (Kimi k1.5, arXiv 2501.12599, section 2.3.3). `correct` names the reward that
    says which it is; where it has no value, R is None and the length counts for no min or max.
    A group is what one process scores with the same prompt text: where each process rolls out a
    multiple of num_generations, that is all completions of a prompt.
    """
    correctness = rewards[correct]
    groups: dict[str, list[int]] = defaultdict(list)
    for prompt, ids, value in zip(prompts, completion_ids, correctness, strict=True):
        if value is not None:
            groups[prompt].append(len(ids))
    return [
        None if value is None else compared(len(ids), groups[prompt], value)
        for prompt, ids, value in zip(prompts, completion_ids, correctness, strict=True)
    ]


group_length.needs_groups = True  # the plan sees to it that no process gets a part of one


def compared(length: int, group: list[int], correctness: float) -> float:
    """Return what a length is worth among those of its group."""
    shortest, longest = min(group), max(group)
    if shortest == longest:
        return 0.0
    worth = 0.5 - (length - shortest) / (longest - shortest)
    return worth if correctness == 1.0 else min(0.0, worth)
