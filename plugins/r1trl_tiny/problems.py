"""The problems of the tiny world: two to six numbers added and subtracted, written in words.

A problem is its numbers and signs; the language of the question is not part of it. One problem in
eight belongs to the benchmark, by a digest of the problem itself, so that no generator can put a
benchmark problem into a corpus or a training set.
"""

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from r1trl_tiny.numerals import chinese, english

MAX_OPERAND = 20
MAX_TOTAL = 99
OPERANDS = (2, 3, 3, 4, 4)  # how many numbers a problem has, one of these by chance
# The first TRAINED of each language are those of training sets, the others those of the benchmark
# of unseen phrasings; the corpus has all.
TRAINED = 8
QUESTIONS = {
    "en": (
        "What is {}?",
        "Compute {}.",
        "How much is {}?",
        "Calculate {}.",
        "Find {}.",
        "What do you get for {}?",
        "Add up {}.",
        "Give the value of {}.",
        "Please work out {}.",
        "Tell me what {} is.",
        "{} is what?",
        "{} equals what?",
        "I need {}.",
        "Solve {}.",
        "Can you compute {}?",
        "Evaluate {}.",
        "What does {} make?",
        "What does {} come to?",
        "{} comes to?",
        "What number is {}?",
        "Let us find {}.",
        "Say what {} makes.",
        "The result of {} is?",
        "Do you know {}?",
    ),
    "zh": (
        "{}等于多少？",
        "计算{}。",
        "{}是多少？",
        "求{}。",
        "算一算{}。",
        "{}得多少？",
        "请计算{}。",
        "{}的结果是多少？",
        "请问{}等于几？",
        "{}等于几？",
        "帮我算{}。",
        "告诉我{}是多少。",
        "{}得几？",
        "我想知道{}。",
        "你能算{}吗？",
        "{}一共是多少？",
        "说出{}的值。",
        "{}的值是多少？",
        "{}算出来是多少？",
        "请求出{}。",
        "来算{}。",
        "{}是几？",
        "{}的结果是什么？",
        "求出{}的值。",
    ),
}
Phrasings = Literal["trained", "unseen"]
SIGNS = {"en": {1: "plus", -1: "minus"}, "zh": {1: "加", -1: "减"}}
NUMERALS = {"en": english, "zh": chinese}


@dataclass(frozen=True)
class Problem:
    """An arithmetic problem: `start`, then `steps` of (sign, number), from left to right."""

    start: int
    steps: tuple[tuple[int, int], ...]

    @property
    def totals(self) -> list[int]:
        """Return the total after each step; the last one is the answer."""
        totals, total = [], self.start
        for sign, number in self.steps:
            total += sign * number
            totals.append(total)
        return totals

    @property
    def answer(self) -> int:
        """Return the answer."""
        return self.totals[-1]

    @property
    def key(self) -> str:
        """Return the problem in digits, such as '7+5-3'; equal problems have equal keys."""
        return str(self.start) + "".join(f"{'+' if s > 0 else '-'}{n}" for s, n in self.steps)

    @property
    def held_out(self) -> bool:
        """Return True if the problem belongs to the benchmark."""
        return hashlib.sha256(self.key.encode()).digest()[0] % 8 == 0

    def expression(self, language: str) -> str:
        """Return the problem in words: 'seven plus five' or '七加五'."""
        separator = " " if language == "en" else ""
        parts = [NUMERALS[language](self.start)]
        for sign, number in self.steps:
            parts += [SIGNS[language][sign], NUMERALS[language](number)]
        return separator.join(parts)


def random_problem(rng: random.Random, operands: Sequence[int] = OPERANDS) -> Problem:
    """Return a random problem of one of `operands` numbers, totals from 0 to 99."""
    count = rng.choice(operands)
    while True:
        steps = tuple((rng.choice((1, -1)), rng.randint(1, MAX_OPERAND)) for _ in range(count - 1))
        problem = Problem(rng.randint(1, MAX_OPERAND), steps)
        if all(0 <= total <= MAX_TOTAL for total in problem.totals):
            return problem


def problems(seed: int, *, held_out: bool, operands: Sequence[int] = OPERANDS) -> Iterator[Problem]:
    """Yield distinct problems without end, all of the benchmark if `held_out`, else none of it."""
    rng, seen = random.Random(f"problems {seed} {held_out}"), set()
    while True:
        problem = random_problem(rng, operands)
        if problem.held_out is held_out and problem.key not in seen:
            seen.add(problem.key)
            yield problem


def question(
    problem: Problem, language: str, rng: random.Random, phrasings: Phrasings = "trained"
) -> str:
    """Return the problem as a question, in a random one of the language's phrasings."""
    all_ = QUESTIONS[language]
    chosen = all_[:TRAINED] if phrasings == "trained" else all_[TRAINED:]
    return phrased(rng.choice(chosen), problem, language)


def phrased(text: str, problem: Problem, language: str) -> str:
    """Return the problem as a question in one phrasing, which begins with a capital."""
    asked = text.format(problem.expression(language))
    return asked[:1].upper() + asked[1:]
