"""The reward `reasoning_gym`: the score by Reasoning Gym's own scorer."""

import functools
from collections.abc import Callable
from typing import Any, Literal

import r1trl
from r1trl_gym.answer import extract_answer
from r1trl_gym.entries import library, loads, missing_requirements


@r1trl.verifier(setup=library, missing_requirements=missing_requirements)
def reasoning_gym(
    completion: str,
    entry: str | None,
    prompt: Any = "",
    *,
    answer: Literal["answer_tag", "boxed", "last_line", "whole"] = "answer_tag",
) -> float | None:
    r"""Score the answer after the thinking with the task's own scorer, from 0 to 1.

    `entry` is a column of the dataset `reasoning_gym`. `answer` is the place of the answer: in the
    last `<answer>`, in the last `\\boxed{}`, on the last line, or the whole text. No answer scores
    0, as does one in thinking that has not ended. Some tasks score a wrong answer slightly above 0
    for its form. None for a row without an entry.
    """
    if entry is None:
        return None
    problem = loads(entry)
    extracted = extract_answer(r1trl.with_prefill(prompt, completion), answer)
    if extracted is None:
        return 0.0
    return float(scorer(problem["metadata"]["source_dataset"])(extracted, problem))


@functools.cache
def scorer(task: str) -> Callable[[str, dict[str, Any]], float]:
    """Return the scorer of a task, cached: making one can take seconds."""
    score: Callable[[str, dict[str, Any]], float] = library().get_score_answer_fn(task)
    return score
