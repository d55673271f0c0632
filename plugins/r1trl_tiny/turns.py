"""Arithmetic over several turns: the question is the last step of what was said before it."""

import random
from itertools import islice
from typing import TYPE_CHECKING

from r1trl_tiny.problems import NUMERALS, SIGNS, Problem, problems, question

if TYPE_CHECKING:
    from datasets import Dataset

FOLLOW_UPS = {"en": "What is that {} {}?", "zh": "再{}{}等于多少？"}
REPLY = "<answer>{}</answer>"


def tiny_turns(
    *, count: int = 128, seed: int = 0, held_out: bool = False, suffix: str = ""
) -> "Dataset":
    """Return problems asked step by step, with the history in the prompt, `count` rows.

    The prompt is a list of messages: each turn asks for one step and is answered, but for the last
    one, which cannot be answered without those before it. Columns: prompt, question (the last
    turn), solution, language, domain ('math'), difficulty (how many turns) and problem_key.
    `held_out` is as in `tiny_problems`; `suffix` is put after the last question.
    """
    from datasets import Dataset

    rng, rows = random.Random(f"turns {seed}"), []
    for problem in islice(problems(seed, held_out=held_out, operands=3), count):
        language = rng.choice(("en", "zh"))
        messages = conversation(problem, language, rng)
        messages[-1]["content"] += suffix
        rows.append(
            {
                "prompt": messages,
                "question": messages[-1]["content"],
                "solution": str(problem.answer),
                "language": language,
                "domain": "math",
                "difficulty": len(problem.steps),
                "problem_key": problem.key,
            }
        )
    return Dataset.from_list(rows)


def conversation(problem: Problem, language: str, rng: random.Random) -> list[dict[str, str]]:
    """Return the messages in which a problem's steps are asked, all but the last one answered."""
    messages = []
    for i, (sign, number) in enumerate(problem.steps):
        if i == 0:
            text = question(Problem(problem.start, problem.steps[:1]), language, rng)
        else:
            said = SIGNS[language][sign], NUMERALS[language](number)
            text = FOLLOW_UPS[language].format(*said)
        messages.append({"role": "user", "content": text})
        messages.append({"role": "assistant", "content": REPLY.format(problem.totals[i])})
    return messages[:-1]
