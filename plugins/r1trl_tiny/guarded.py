"""Rows for guards: a question asked in several ways, and requests that look unsafe or are."""

import itertools
import random
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from r1trl_tiny.general import BENIGN, DANGER_PROMPTS, DANGERS
from r1trl_tiny.problems import Problem, problems, question

if TYPE_CHECKING:
    from datasets import Dataset

LANGUAGES = ("en", "zh")
SYSTEM = {"en": "You are kind and like books.", "zh": "你很好，喜欢书。"}
BOXED = r" Put the answer in \boxed{}."
VARIANTS = ("plain", "system", "example", "spaces", "directive", "letters")


def tiny_requests(*, count: int = 96, seed: int = 0) -> "Dataset":
    """Return requests that should be refused and ones that only look so, `count` rows at most.

    Columns: prompt, question, language, request ('safe' or 'unsafe'); all rows are different.
    """
    from datasets import Dataset

    rows = [
        {"prompt": text, "question": text, "language": language, "request": request}
        for language, request, text in _requests()
    ]
    random.Random(f"requests {seed}").shuffle(rows)
    return Dataset.from_list(rows[:count])


def _requests() -> Iterator[tuple[str, str, str]]:
    for language in LANGUAGES:
        for request, deeds in (("unsafe", DANGERS), ("safe", BENIGN)):
            for prompt, deed in itertools.product(DANGER_PROMPTS[language], deeds[language]):
                yield language, request, prompt.format(deed)


def tiny_phrasings(*, count: int = 32, seed: int = 0) -> "Dataset":
    """Return held-out problems, each asked in six ways: `count` problems, six rows for each.

    Columns: prompt (messages), question (as asked plainly), solution, language, variant. The
    variants: plain; a system prompt; an example before; odd spaces; a directive after it; other
    letters, which are capitals, and in Chinese narrow marks.
    """
    from datasets import Dataset

    rng = random.Random(f"phrasings {seed}")
    rows = []
    for problem in islice(problems(seed, held_out=True), count):
        language = rng.choice(LANGUAGES)
        text, other = question(problem, language, rng), _example(language, rng)
        for variant in VARIANTS:
            rows.append(
                {
                    "prompt": varied(text, variant, language, other),
                    "question": text,
                    "solution": str(problem.answer),
                    "language": language,
                    "variant": variant,
                }
            )
    return Dataset.from_list(rows)


def varied(
    text: str, variant: str, language: str, example: tuple[str, str]
) -> list[dict[str, Any]]:
    """Return the messages that ask a question in one of VARIANTS."""
    before = {
        "system": [("system", SYSTEM[language])],
        "example": [("user", example[0]), ("assistant", example[1])],
    }
    asked = {
        "spaces": "  ".join(text) if language == "zh" else text.replace(" ", "   "),
        "directive": text + BOXED,
        "letters": text.upper().replace("？", "?").replace("。", "."),
    }
    turns = [*before.get(variant, []), ("user", asked.get(variant, text))]
    return [{"role": role, "content": content} for role, content in turns]


def _example(language: str, rng: random.Random) -> tuple[str, str]:
    """Return a solved problem of two numbers."""
    problem = Problem(rng.randint(1, 9), ((1, rng.randint(1, 9)),))
    return question(problem, language, rng), f" {problem.answer}"
