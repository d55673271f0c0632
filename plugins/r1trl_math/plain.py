r"""The verdict on two plain numbers, without math-verify: most comparisons of a training run.

math-verify compares decimals after rounding to six places, so what differs by less than a
hundred-thousandth is left to it; everything decided here is what it would decide.
"""

import re
from fractions import Fraction

INTEGER = re.compile(r"-?\d{1,15}|-?\d{1,3}(?:,\d{3}){1,4}", re.ASCII)
DECIMAL = re.compile(r"-?\d{1,8}\.\d{1,6}", re.ASCII)
RATIO = re.compile(r"(-?\d{1,9})/(\d{1,9})|(-?)\\[dt]?frac\{(-?\d{1,9})\}\{(\d{1,9})\}", re.ASCII)
CLOSE = Fraction(1, 100_000)


def number(text: str) -> Fraction | None:
    """Read an integer, a decimal of up to six places or a simple fraction; None for all else.

    One pair of dollars around it is no part of it.
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


def compare(gold: str, answer: str) -> float | None:
    """Return 1.0 for equal numbers, 0.0 for different ones, None where math-verify must decide."""
    left, right = number(gold), number(answer)
    if left is None or right is None:
        return None
    if left == right:
        return 1.0
    return 0.0 if abs(left - right) > CLOSE else None
