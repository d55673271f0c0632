"""The verdict of Reasoning Gym's own scorer on a completion."""

import functools
from collections.abc import Callable
from typing import Any, Literal

import r1trl
from r1trl_gym.answer import find
from r1trl_gym.entries import library, loads, ready


@r1trl.verifier(prepare=library, ready=ready)
def reasoning_gym(
    completion: str,
    entry: str | None,
    *,
    answer: Literal["answer_tag", "boxed", "last_line", "whole"] = "answer_tag",
) -> float | None:
    r"""Score the answer after the thinking with the task's own scorer, from 0 to 1.

    `entry` is the column that the dataset `reasoning_gym` makes. `answer` says where the answer
    stands: in the last `<answer>`, in the last `\\boxed{}`, on the last line, or it is all the
    text. No answer scores 0. Some tasks give a wrong answer a little for its form. A row without
    an entry is None.
    """
    if entry is None:
        return None
    problem = loads(entry)
    found = find(completion, answer)
    if found is None:
        return 0.0
    return float(scorer(problem["metadata"]["source_dataset"])(found, problem))


@functools.cache
def scorer(task: str) -> Callable[[str, dict[str, Any]], float]:
    """Return the scorer of a task; making one can take seconds, so it is kept."""
    score: Callable[[str, dict[str, Any]], float] = library().get_score_answer_fn(task)
    return score
