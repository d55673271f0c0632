r"""The verdict on two answers before math-verify: texts, numbers, quantities, special forms.

`decide` returns 1.0, 0.0, None (the gold cannot be compared), or the two expressions on which
math-verify must decide.
"""

import re
from fractions import Fraction
from typing import NamedTuple

from r1trl_math.numeric import Number, are_equal_integers, compare_numbers, parse_number
from r1trl_math.reading import Reading, read
from r1trl_math.special import compare_forms, special_form
from r1trl_math.units import MULTIPLIERS, Unit, are_opposite, is_numeral, unit_of

DOTS = re.compile(r"(?:,\s*)?(?:\\[lcd]?dots[bcimo]?(?![a-z])|\.\.\.)(?:\s*,)?")
LIST = re.compile(r"[,;{(\[]|\\pm")


class Expressions(NamedTuple):
    """A gold and an answer in LaTeX, for math-verify."""

    gold: str
    answer: str


Verdict = float | None | Expressions


def decide(gold_text: str, answer_text: str) -> Verdict:
    """Return the verdict on an answer, or what math-verify must compare."""
    left, right = gold_text.strip(), answer_text.strip()
    equal = are_equal_integers(left, right)  # most comparisons of a training run end here
    if equal is not None:
        return float(equal)
    numbers = parse_number(left), parse_number(right)
    if numbers[0] and numbers[1]:
        verdict = compare_numbers(*numbers)
        if verdict is not None:
            return verdict
    gold, answer = read(gold_text), read(answer_text)
    if not gold.line or (gold.is_sentence and len(gold.pieces) != 1):
        return None  # prose: there is no answer in it to rely on
    forms = special_form(gold.line), special_form(answer.line)
    verdict = compare_forms(*forms, (gold.line, answer.line))
    if verdict is not None:
        return verdict
    if not gold.pieces:
        return _compare_texts(gold, answer)
    if gold.key == answer.key:
        return 1.0 if _is_quantity(gold) else Expressions(gold.pieces[0], gold.pieces[0])
    if not answer.pieces:
        if answer.text and gold.text == answer.text:
            return 1.0
        return 0.0 if _is_quantity(gold) else Expressions(gold.pieces[0], "")
    if gold.is_plain != answer.is_plain or are_opposite(gold.all_words, answer.all_words):
        return 0.0
    return _compare_quantities(gold, answer)


def _compare_texts(gold: Reading, answer: Reading) -> float | None:
    """Compare letters and digits; a numeral in words cannot be compared with a number."""
    if gold.text == answer.text and gold.text:
        return 1.0
    return None if answer.pieces and is_numeral(tuple(gold.text.split())) else 0.0


def _is_quantity(reading: Reading) -> bool:
    """Return True if every piece is a number, so that no parser is needed."""
    return all(_number(reading, i) for i in range(len(reading.pieces)))


def _compare_quantities(gold: Reading, answer: Reading) -> Verdict:
    sums = _sum(gold), _sum(answer)
    if len(gold.pieces) > 1 or len(answer.pieces) > 1:
        if sums[0] and sums[1] and sums[0][0] == sums[1][0]:
            return float(sums[0][1] == sums[1][1])
        if len(gold.pieces) > 1:
            return float(_pairs(gold) == _pairs(answer))
        listed = ",".join(answer.pieces)
        return Expressions(gold.pieces[0], listed) if LIST.search(gold.pieces[0]) else 0.0
    left, right = _number(gold), _number(answer)
    if sums[0] and sums[1]:
        (dimension, amount), (other, measured) = sums[0], sums[1]
        if dimension != other:
            return 0.0
        if _unit(gold, 0) != _unit(answer, 0):
            return float(amount == measured)
    if left and right:
        verdict = compare_numbers(left, right)
        return Expressions(gold.pieces[0], answer.pieces[0]) if verdict is None else verdict
    if DOTS.search(gold.pieces[0]) or DOTS.search(answer.pieces[0]):
        return _compare_dotted(gold.pieces[0], answer.pieces[0])
    return Expressions(gold.pieces[0], answer.pieces[0])


def _compare_dotted(gold: str, answer: str) -> Verdict:
    """Compare two sequences with dots, term by term, in which only the writing may differ."""
    parts = [[re.sub(r"\s+", "", part) for part in DOTS.split(text)] for text in (gold, answer)]
    return float(parts[0] == parts[1])


def _number(reading: Reading, index: int = 0) -> Number | None:
    """Return a piece as a number, multiplied by a numeral after it: 3 million."""
    number = parse_number(reading.pieces[index])
    words = reading.words[index]
    if number is None or not words or words[0] not in MULTIPLIERS:
        return number
    return Number(number.value * MULTIPLIERS[words[0]], number.rounded, number.percent)


def _unit(reading: Reading, index: int) -> Unit | None:
    return unit_of(tuple(word for word in reading.words[index] if word != "and"))


def _sum(reading: Reading) -> tuple[str, Fraction] | None:
    """Return a quantity's dimension and size: of one unit or several, as 2 h 20 min; else None."""
    total, dimensions = Fraction(0), set()
    for i in range(len(reading.pieces)):
        number, unit = _number(reading, i), _unit(reading, i)
        if number is None or unit is None:
            return None
        dimensions.add(unit.dimension)
        total += number.value * unit.size
    return (dimensions.pop(), total) if len(dimensions) == 1 else None


def _pairs(reading: Reading) -> list[tuple[str, tuple[str, ...]]]:
    """Return each piece with the words after it, in an order that does not matter."""
    return sorted(
        (
            str(number.value) if (number := _number(reading, i)) else re.sub(r"\s+", "", piece),
            tuple(word for word in words if word not in ("and", "or")),
        )
        for i, (piece, words) in enumerate(zip(reading.pieces, reading.words, strict=True))
    )
