r"""The verdict on two answers before math-verify: texts, numbers, quantities, special forms.

`decide` returns 1.0, 0.0, None (the gold cannot be compared), or the two expressions on which
math-verify must decide.
"""

import re
from math import isclose
from typing import Any, NamedTuple

from r1trl_math.lists import differ_in_form, says_two_things
from r1trl_math.numeric import Number, are_equal_plainly, compare_numbers, parse_number
from r1trl_math.readings.reading import Reading, read
from r1trl_math.readings.words import MULTIPLIERS, are_opposite, is_numeral, name_others, singular
from r1trl_math.special import compare_forms, special_form
from r1trl_math.units import Unit, unit_of

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
    equal = are_equal_plainly(left, right)  # most comparisons of a training run end here
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
    if not (gold.is_plain and answer.is_plain):
        return float(gold.text == answer.text)  # "at least 5" is equal to itself alone
    if are_opposite(gold.all_words, answer.all_words):
        return 0.0
    if says_two_things(answer.pieces[0]) or differ_in_form(gold.pieces[0], answer.pieces[0]):
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
        if sums[0] and sums[1]:
            return float(sums[0][0] == sums[1][0] and isclose(sums[0][1], sums[1][1]))
        if len(gold.pieces) > 1:
            return float(_pairs(gold) == _pairs(answer))
        listed = ",".join(answer.pieces)
        return Expressions(gold.pieces[0], listed) if LIST.search(gold.pieces[0]) else 0.0
    units = _unit(gold, 0), _unit(answer, 0)
    if units[0] and units[1] and units[0] != units[1]:
        same = sums[0] and sums[1] and sums[0][0] == sums[1][0]
        return float(bool(same) and isclose(sums[0][1], sums[1][1]))  # type: ignore[index]
    if None in units and name_others(gold.words[0], answer.words[0]):
        return 0.0
    left, right = _number(gold), _number(answer)
    if left and right:
        verdict = compare_numbers(left, right)
        return Expressions(left.latex, right.latex) if verdict is None else verdict
    if DOTS.search(gold.pieces[0]) or DOTS.search(answer.pieces[0]):
        return _compare_dotted(gold.pieces[0], answer.pieces[0])
    return Expressions(*(n.latex if n else r.pieces[0] for n, r in ((left, gold), (right, answer))))


def _compare_dotted(gold: str, answer: str) -> Verdict:
    """Compare two sequences with dots, term by term, in which only the writing may differ."""
    parts = [[re.sub(r"\s+", "", part) for part in DOTS.split(text)] for text in (gold, answer)]
    return float(parts[0] == parts[1])


def _number(reading: Reading, index: int = 0) -> Number | None:
    """Return a piece as a number, multiplied by a numeral after it: 3 million."""
    number = parse_number(reading.pieces[index])
    words = reading.words[index]
    if number is None or not words or singular(words[0]) not in MULTIPLIERS:
        return number
    times = MULTIPLIERS[singular(words[0])]
    return Number(number.value * times, number.rounded, number.percent)


def _unit(reading: Reading, index: int) -> Unit | None:
    """Return the unit after a piece, or its currency."""
    after = tuple(word for word in reading.words[index] if word not in ("and", "of"))
    number = parse_number(reading.pieces[index])
    if not after:
        return unit_of((number.currency,)) if number and number.currency else None
    beginnings = (after[:count] for count in range(len(after), 0, -1))  # 5 pounds of flour
    return next((unit for words in beginnings if (unit := unit_of(words))), None)


def _sum(reading: Reading) -> tuple[Any, float] | None:
    """Return a quantity's dimension and size: of one unit or several, as 2 h 20 min; else None."""
    numbers = [_number(reading, i) for i in range(len(reading.pieces))]
    units = [_unit(reading, i) for i in range(len(reading.pieces))]
    known = {unit for unit in units if unit}
    if None in numbers or len(known) < len(units) or len({unit.dimension for unit in known}) != 1:
        return None  # 5 cm, 12 cm are two lengths, not one
    sizes = [float(n.value) * u.size for n, u in zip(numbers, units, strict=True) if n and u]
    return known.pop().dimension, sum(sizes)


def _pairs(reading: Reading) -> list[tuple[str, tuple[str, ...]]]:
    """Return each piece with the words after it, in an order that does not matter."""
    return sorted(
        (
            str(number.value) if (number := _number(reading, i)) else re.sub(r"\s+", "", piece),
            tuple(singular(word) for word in words if word not in ("and", "or")),
        )
        for i, (piece, words) in enumerate(zip(reading.pieces, reading.words, strict=True))
    )
