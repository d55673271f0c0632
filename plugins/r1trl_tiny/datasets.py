"""The tiny world as datasets; each is a pure function of its options."""

import random
from itertools import islice
from typing import TYPE_CHECKING, Literal

from r1trl_tiny.general import General, draw
from r1trl_tiny.problems import problems, question

if TYPE_CHECKING:
    from datasets import Dataset

LANGUAGES = ("en", "zh")


def tiny_problems(
    *, count: int = 2048, seed: int = 0, held_out: bool = False, operands: int | None = None
) -> "Dataset":
    """Make arithmetic problems in words: prompt, question, solution, language, domain, difficulty.

    `held_out` problems are a benchmark: no corpus and no other dataset has any of them. Problems
    have two to four numbers (their `difficulty`), or as many as `operands` says: five and more are
    new to the models.
    """
    from datasets import Dataset

    random_ = random.Random(f"questions {seed}")
    rows = []
    for problem in islice(problems(seed, held_out=held_out, operands=operands), count):
        language = random_.choice(LANGUAGES)
        text = question(problem, language, random_)
        rows.append(
            {
                "prompt": text,
                "question": text,
                "solution": str(problem.answer),
                "language": language,
                "domain": "math",
                "difficulty": len(problem.steps) + 1,
                "problem_key": problem.key,
            }
        )
    return Dataset.from_list(rows)


def tiny_chat(
    *, count: int = 256, seed: int = 0, domain: Literal["helpful", "safety"] | None = None
) -> "Dataset":
    """Make general prompts with a good response: prompt, question, completion, language, domain."""
    from datasets import Dataset

    return Dataset.from_list(
        [
            {
                "prompt": example.prompt,
                "question": example.prompt,
                "completion": response(example, example.good),
                "language": example.language,
                "domain": example.domain,
            }
            for example in _examples(count, seed, domain)
        ]
    )


def tiny_pairs(*, count: int = 512, seed: int = 0) -> "Dataset":
    """Make helpful preference pairs: prompt, chosen, rejected."""
    from datasets import Dataset

    return Dataset.from_list(
        [
            {
                "prompt": example.prompt,
                "chosen": response(example, example.good),
                "rejected": response(example, example.bad),
            }
            for example in _examples(count, seed, "helpful")
        ]
    )


def tiny_safety(*, count: int = 512, seed: int = 0) -> "Dataset":
    """Make responses labelled safe or not: prompt, completion, label (true is safe)."""
    from datasets import Dataset

    random_, rows = random.Random(f"labels {seed}"), []
    for example in _examples(count, seed, "safety"):
        safe = random_.random() < 0.5
        text = response(example, example.good if safe else example.bad)
        rows.append({"prompt": example.prompt, "completion": text, "label": safe})
    return Dataset.from_list(rows)


def response(example: General, reply: str) -> str:
    """Write a reply in the form that the recipes train: a thought, then the answer."""
    return f"<think>{example.thought}</think><answer>{reply}</answer>"


def _examples(count: int, seed: int, domain: str | None) -> list[General]:
    random_ = random.Random(f"general {seed} {domain}")
    return [draw(random_, domain) for _ in range(count)]
