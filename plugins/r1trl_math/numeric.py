r"""Comparison of two plain numbers without math-verify: most comparisons of a training run.

math-verify compares decimals after rounding to six places, so numbers that differ by less than a
hundred-thousandth are left to it; every result here equals its own.
"""

import re
from fractions import Fraction

INTEGER = re.compile(r"-?\d{1,15}|-?\d{1,3}(?:,\d{3}){1,4}", re.ASCII)
DECIMAL = re.compile(r"-?\d{1,8}\.\d{1,6}", re.ASCII)
RATIO = re.compile(r"(-?\d{1,9})/(\d{1,9})|(-?)\\[dt]?frac\{(-?\d{1,9})\}\{(\d{1,9})\}", re.ASCII)
ROUNDING = Fraction(1, 100_000)


def parse_number(text: str) -> Fraction | None:
    """Parse an integer, a decimal of up to six places or a simple fraction; None for all else.

    One pair of dollars around it is ignored.
    """
    text = text.strip()
    if len(text) > 2 and text[0] == text[-1] == "$":
        text = text[1:-1].strip()
    if INTEGER.fullmatch(text) or DECIMAL.fullmatch(text):
        return Fraction(text.replace(",", ""))
    match = RATIO.fullmatch(text)
    if not match:
        return None
    above, below, sign, top, bottom = match.groups()
    denominator = int(below or bottom)
    if denominator == 0:
        return None
    return Fraction(int(above or top), denominator) * (-1 if sign else 1)


def compare_numbers(gold: str, answer: str) -> float | None:
    """Return 1.0 for equal numbers, 0.0 for different ones, None if math-verify must decide."""
    left, right = parse_number(gold), parse_number(answer)
    if left is None or right is None:
        return None
    if left == right:
        return 1.0
    return 0.0 if abs(left - right) > ROUNDING else None
