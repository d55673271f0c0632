"""The problems of the tiny world: two to four numbers added and subtracted, asked in words.

A problem is its numbers and signs; the language it is asked in is not part of it. One problem in
eight belongs to the benchmark, decided by a digest of the problem itself, so that no generator can
ever put a benchmark problem into a corpus or a training set.
"""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass

from r1trl_tiny.numerals import chinese, english

LARGEST_OPERAND = 20
LARGEST_VALUE = 99
QUESTIONS = {
    "en": ("What is {}?", "Compute {}.", "How much is {}?"),
    "zh": ("{}等于多少？", "计算{}。", "{}是多少？"),
}
SIGNS = {"en": {1: "plus", -1: "minus"}, "zh": {1: "加", -1: "减"}}
WORD = {"en": english, "zh": chinese}


@dataclass(frozen=True)
class Problem:
    """`start`, then `steps` of (sign, number), worked from left to right."""

    start: int
    steps: tuple[tuple[int, int], ...]

    @property
    def values(self) -> list[int]:
        """Return the value after each step; the last one is the answer."""
        values, total = [], self.start
        for sign, number in self.steps:
            total += sign * number
            values.append(total)
        return values

    @property
    def answer(self) -> int:
        """Return the answer."""
        return self.values[-1]

    @property
    def key(self) -> str:
        """Return the problem in digits, such as '7+5-3': its identity."""
        return str(self.start) + "".join(f"{'+' if s > 0 else '-'}{n}" for s, n in self.steps)

    @property
    def held_out(self) -> bool:
        """Tell whether the problem belongs to the benchmark."""
        return hashlib.sha256(self.key.encode()).digest()[0] % 8 == 0

    def expression(self, language: str) -> str:
        """Write the problem in words: 'seven plus five' or '七加五'."""
        gap = " " if language == "en" else ""
        parts = [WORD[language](self.start)]
        for sign, number in self.steps:
            parts += [SIGNS[language][sign], WORD[language](number)]
        return gap.join(parts)


def draw(random_: random.Random, operands: int | None = None) -> Problem:
    """Draw a problem of `operands` numbers (two to four where None) whose values stay in 0…99."""
    count = operands or random_.choices((2, 3, 4), weights=(2, 4, 4))[0]
    while True:
        steps = tuple(
            (random_.choice((1, -1)), random_.randint(1, LARGEST_OPERAND)) for _ in range(count - 1)
        )
        problem = Problem(random_.randint(1, LARGEST_OPERAND), steps)
        if all(0 <= value <= LARGEST_VALUE for value in problem.values):
            return problem


def problems(seed: int, *, held_out: bool, operands: int | None = None) -> Iterator[Problem]:
    """Yield different problems for ever, all of the benchmark or none of it."""
    random_, seen = random.Random(f"problems {seed} {held_out}"), set()
    while True:
        problem = draw(random_, operands)
        if problem.held_out is held_out and problem.key not in seen:
            seen.add(problem.key)
            yield problem


def question(problem: Problem, language: str, random_: random.Random) -> str:
    """Ask for the problem in one of the language's phrasings."""
    return random_.choice(QUESTIONS[language]).format(problem.expression(language))
