"""The pretraining corpus of the tiny base models: problems with replies of many styles.

Most replies are a wrong answer without reasoning; some reason step by step, in English, in Chinese
or in a mixture of both; about half have the tags of the recipes. A base model trained on this can
reason and can keep to one language, but rarely does either, which leaves both for reinforcement
learning to elicit.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from r1trl_tiny.general import random_example
from r1trl_tiny.problems import NUMERALS, SIGNS, Problem, question, random_problem

LANGUAGES = ("en", "zh")


@dataclass(frozen=True)
class Mixture:
    """The shares of a corpus's styles, from 0 to 1.

    `general`: documents that are no problem. `direct`: replies without reasoning, of which
    `direct_correct` is guaranteed correct. `tagged`: replies with tags. `mixed`: reasoning in both
    languages. `slip`: steps of reasoning with a wrong result.
    """

    general: float = 0.08
    direct: float = 0.55
    direct_correct: float = 0.1
    tagged: float = 0.5
    mixed: float = 0.6
    slip: float = 0.02


def step_text(value: int, sign: int, number: int, result: int, languages: list[str]) -> str:
    """Return a step of reasoning in words; `languages` has one entry for each of its five parts."""
    parts = [
        NUMERALS[languages[0]](value),
        SIGNS[languages[1]][sign],
        NUMERALS[languages[2]](number),
        {"en": "is", "zh": "是"}[languages[3]],
        NUMERALS[languages[4]](result),
    ]
    words = [
        f" {part}" if lang == "en" else part for part, lang in zip(parts, languages, strict=True)
    ]
    return "".join(words) + {"en": ".", "zh": "。"}[languages[4]]


def reasoning(
    problem: Problem, language: str, rng: random.Random, mixture: Mixture
) -> tuple[str, int]:
    """Return a reasoning about the problem and its result; `language`: 'en', 'zh' or 'mixed'."""
    text, value = "", problem.start
    by_step = rng.random() < 0.5
    for sign, number in problem.steps:
        result = value + sign * number
        if rng.random() < mixture.slip:
            result = min(99, max(0, result + rng.choice((-10, -2, -1, 1, 2, 10))))
        if language != "mixed":
            languages = [language] * 5
        elif by_step and len(problem.steps) > 1:
            languages = [rng.choice(LANGUAGES)] * 5
        else:
            languages = rng.choices(LANGUAGES, k=5)
        text += step_text(value, sign, number, result, languages)
        value = result
    return text, value


def reply(problem: Problem, rng: random.Random, mixture: Mixture) -> str:
    """Return a reply to the problem, in a style sampled from the shares."""
    if rng.random() < mixture.direct:
        right = rng.random() < mixture.direct_correct
        text, value = "", problem.answer if right else rng.randint(0, 99)
    else:
        mixed = rng.random() < mixture.mixed
        language = "mixed" if mixed else rng.choice(LANGUAGES)
        text, value = reasoning(problem, language, rng, mixture)
    if rng.random() < mixture.tagged:
        return f"<think>{text}</think><answer>{value}</answer>"
    return f"{text} {value}"


def documents(seed: int, mixture: Mixture = Mixture()) -> Iterator[tuple[str, str]]:
    """Yield (prompt, reply) pairs without end; no benchmark problem is among them."""
    rng = random.Random(f"corpus {seed}")
    while True:
        if rng.random() < mixture.general:
            example = random_example(rng)
            text = rng.choice((example.good, example.bad))
            if rng.random() < mixture.tagged:
                text = f"<think>{example.thought}</think><answer>{text}</answer>"
            yield example.prompt, text
            continue
        problem = random_problem(rng)
        if not problem.held_out:
            language = rng.choice(LANGUAGES)
            yield question(problem, language, rng), reply(problem, rng, mixture)
