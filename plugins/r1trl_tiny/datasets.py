"""The tiny world as datasets; each is determined by its options, the seed included."""

import json
import random
from itertools import islice
from typing import TYPE_CHECKING, Literal

from r1trl_tiny.general import Example, random_example
from r1trl_tiny.problems import OPERANDS, Phrasings, problems, question

if TYPE_CHECKING:
    from datasets import Dataset

LANGUAGES = ("en", "zh")


def tiny_problems(
    *,
    count: int = 2048,
    seed: int = 0,
    held_out: bool = False,
    operands: list[int] | None = None,
    phrasings: Phrasings = "trained",
) -> "Dataset":
    """Return arithmetic problems in words, `count` rows, all problems different.

    Columns: prompt, question, solution, language, domain, difficulty (how many numbers) and
    problem_key. `held_out` problems are a benchmark: no corpus and no other dataset has any of
    them. Problems have two to four numbers, or as many as one of `operands`, up to six. `phrasings`
    are the eight of training sets, or those that no training set has.
    """
    from datasets import Dataset

    rng = random.Random(f"questions {seed}")
    rows = []
    found = problems(seed, held_out=held_out, operands=operands or OPERANDS)
    for problem in islice(found, count):
        language = rng.choice(LANGUAGES)
        text = question(problem, language, rng, phrasings)
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
    *,
    count: int = 256,
    seed: int = 0,
    domain: Literal["helpful", "safety"] | None = None,
    held_out: bool = False,
) -> "Dataset":
    """Return general prompts with good responses, `count` rows.

    Columns: prompt, question, completion, language and domain, the last of which can be fixed; and
    what verifies a reply without a model, for the rewards `instructions` and `safe_reply`:
    instruction_id_list and kwargs (a word that a helpful reply has), request ('unsafe' or null).
    `held_out` prompts are of subjects, dangers and phrasings that no other dataset has.
    """
    from datasets import Dataset

    return Dataset.from_list(
        [
            {
                "prompt": example.prompt,
                "question": example.prompt,
                "completion": response(example, example.good),
                "language": example.language,
                "domain": example.domain,
                "request": "unsafe" if example.domain == "safety" else None,
                "instruction_id_list": ["keywords:existence"] if example.word else [],
                "kwargs": json.dumps([{"keywords": [example.word]}] if example.word else []),
            }
            for example in _examples(count, seed, domain, held_out)
        ]
    )


def tiny_pairs(*, count: int = 512, seed: int = 0) -> "Dataset":
    """Return helpful preference pairs, `count` rows; columns: prompt, chosen, rejected."""
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
    """Return responses labelled safe or not, `count` rows.

    Columns: prompt, completion, label (true is safe).
    """
    from datasets import Dataset

    rng, rows = random.Random(f"labels {seed}"), []
    for example in _examples(count, seed, "safety"):
        safe = rng.random() < 0.5
        text = response(example, example.good if safe else example.bad)
        rows.append({"prompt": example.prompt, "completion": text, "label": safe})
    return Dataset.from_list(rows)


def response(example: Example, reply: str) -> str:
    """Return a thought and a reply in the recipes' format, in think tags and answer tags."""
    return f"<think>{example.thought}</think><answer>{reply}</answer>"


def _examples(count: int, seed: int, domain: str | None, held_out: bool = False) -> list[Example]:
    rng = random.Random(f"general {seed} {domain}")
    return [random_example(rng, domain, held_out) for _ in range(count)]
