"""The rewards of `trl.rewards` on r1trl's plain texts, passed as chats of one message.

TRL scores the completion alone: a `<think>` that ends the prompt does not count as part of it.
"""

from typing import Any

import r1trl

Chat = list[dict[str, str]]


def chats(completions: list[str]) -> list[Chat]:
    """Return each text as a chat of one assistant message."""
    return [[{"role": "assistant", "content": completion}] for completion in completions]


@r1trl.describe(full_score=1.0)
def trl_accuracy(
    prompts: list[str],
    completions: list[str],
    completion_ids: list[list[int]],
    solution: list[str],
    **columns: Any,
) -> list[float | None]:
    """Return TRL's accuracy_reward: 1 if math-verify finds the answer equal, else 0.

    R = 1[answer = solution], None if the solution cannot be parsed (trl.rewards). math-verify runs
    in this process, and off the main thread without its timeouts: one answer can hang a run. Use it
    for comparison; `accuracy` is the reward that cannot hang.
    """
    from trl.rewards import accuracy_reward

    values: list[float | None] = accuracy_reward(
        chats(completions), solution, log_extra=columns.get("log_extra")
    )
    return values


@r1trl.describe(full_score=1.0)
def trl_reasoning_accuracy(
    prompts: list[str],
    completions: list[str],
    completion_ids: list[list[int]],
    solution: list[str],
    *,
    reasoning_delimiters: list[str] | None = None,
    **columns: Any,
) -> list[float | None]:
    """Return TRL's reasoning_accuracy_reward: `trl_accuracy` of the text after the reasoning.

    R = 1[answer after the last delimiter = solution], 0 without a delimiter (trl.rewards);
    `reasoning_delimiters` defaults to ["</think>"]. It can hang as `trl_accuracy` can.
    """
    from trl.rewards import reasoning_accuracy_reward

    values: list[float | None] = reasoning_accuracy_reward(
        chats(completions),
        solution,
        reasoning_delimiters,
        log_extra=columns.get("log_extra"),
    )
    return values


@r1trl.describe(full_score=1.0)
def trl_think_format(
    prompts: list[str], completions: list[str], completion_ids: list[list[int]], **columns: Any
) -> list[float]:
    """Return TRL's think_format_reward: 1 for a completion that begins with its thinking, else 0.

    R = 1[the text is `<think>…</think>…` with one `<think>`] (trl.rewards).
    """
    from trl.rewards import think_format_reward

    values: list[float] = think_format_reward(chats(completions))
    return values


def trl_cosine_scaled(
    prompts: list[str],
    completions: list[str],
    completion_ids: list[list[int]],
    solution: list[str],
    *,
    max_len: int,
    min_value_wrong: float = -1.0,
    max_value_wrong: float = -0.5,
    min_value_correct: float = 0.5,
    max_value_correct: float = 1.0,
    **columns: Any,
) -> list[float | None]:
    """Return TRL's cosine-scaled reward: `trl_accuracy`, scaled by the length in tokens.

    R = end + (start - end) / 2 · (1 + cos(π · min(L / max_len, 1))) (Yeo et al., arXiv 2502.03373,
    appendix C.1). It can hang as `trl_accuracy` can; `cosine_length` uses any reward instead.
    """
    from trl.rewards import get_cosine_scaled_reward

    reward = get_cosine_scaled_reward(
        max_len, min_value_wrong, max_value_wrong, min_value_correct, max_value_correct
    )
    values: list[float | None] = reward(chats(completions), solution, completion_ids)
    return values


def trl_repetition_penalty(
    prompts: list[str],
    completions: list[str],
    completion_ids: list[list[int]],
    *,
    ngram_size: int = 3,
    max_penalty: float = -1.0,
    **columns: Any,
) -> list[float]:
    """Return TRL's repetition penalty for repeated n-grams of tokens.

    R = max_penalty · (1 - unique n-grams / n-grams) (Yeo et al., arXiv 2502.03373, appendix C.2).
    Raises ValueError if max_penalty is positive.
    """
    from trl.rewards import get_repetition_penalty_reward

    values: list[float] = get_repetition_penalty_reward(ngram_size, max_penalty)(completion_ids)
    return values


def trl_soft_overlong_punishment(
    prompts: list[str],
    completions: list[str],
    completion_ids: list[list[int]],
    *,
    max_completion_len: int,
    soft_punish_cache: int,
    **columns: Any,
) -> list[float]:
    """Return TRL's soft overlong punishment: 0, falling to -1 at the length limit.

    R as in DAPO (arXiv 2503.14476, equation 13); lengths in tokens.
    """
    from trl.rewards import get_soft_overlong_punishment

    reward = get_soft_overlong_punishment(max_completion_len, soft_punish_cache)
    values: list[float] = reward(completion_ids)
    return values
