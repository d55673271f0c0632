r"""Plain numbers: integers, decimals, fractions, percentages and their other writings, exactly.

Two numbers are compared without math-verify, which most comparisons of a training run need. It
compares decimals after rounding to six places; decimals that near are left to it.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

MAX_CHARACTERS = 400
ROUNDING = RELATIVE = Fraction(1, 100_000)

PLAIN = re.compile(r"(-?\d{1,15})|(-?\d{1,3}(?:,\d{3}){1,4}|-?\d{1,8}\.\d{1,6})", re.ASCII)
RATIO = re.compile(
    r"(-?\d{1,9})/(\d{1,9})|\\[dt]?frac\{(-?\d{1,9})\}\{(\d{1,9})\}", re.ASCII
)  # the commonest ones
MONEY = r"(?:((?:US|[CA])?[$€£¥₹₩₽]|(?:USD|EUR|GBP|RMB|CNY|INR|Rs\.?)(?=\s))\s*)"
AROUND = re.compile(
    rf"([+-]?)\s*{MONEY}?(-?)(.*?)(?:(\s*\\?%)|\s*([$€£¥₹₩₽]))?", re.ASCII | re.DOTALL
)
WHOLE = r"(?:\d{1,3}(?:,\d{3})+|\d{1,3}(?:[ ']\d{3})+|\d{1,2}(?:,\d{2})+,\d{3}|\d+)"
DECIMAL = rf"({WHOLE}?\.\d+|{WHOLE}\.?)"
TEN = r"\s*(?:\\times|\\cdot|\*|x)\s*10\s*\^\s*(?:\{\s*([+-]?\d{1,3})\s*\}|([+-]?\d{1,3}))"
ONE = r"\s*(?:\{\s*(-?\d{1,18})\s*\}|(\d))"  # an argument of \frac
FRAC = rf"\\[dtc]?frac{ONE}{ONE}"


class Number(NamedTuple):
    """An exact value and its writing: a decimal that may be rounded, a percentage, a currency."""

    value: Fraction
    rounded: bool = False
    percent: bool = False
    currency: str = ""

    @property
    def latex(self) -> str:
        """Return the number in LaTeX: a decimal as a decimal, for it may have been rounded."""
        value = self.value
        if self.rounded and len(str(value)) < MAX_CHARACTERS:
            digits = format(Decimal(value.numerator) / Decimal(value.denominator), "f")
            return digits if "." in digits else f"{digits}.0"
        return (
            str(value)
            if value.denominator == 1
            else f"\\frac{{{value.numerator}}}{{{value.denominator}}}"
        )


def _digits(text: str) -> Fraction:
    return Fraction(re.sub("[, ']", "", text).rstrip("."))


def _power(match: re.Match[str]) -> Fraction:
    digits, *exponents = match.groups()
    exponent = next(filter(None, exponents), None)
    return _digits(digits) * Fraction(10) ** int(exponent) if exponent else _digits(digits)


def _ratio(match: re.Match[str]) -> Fraction | None:
    top, bottom = (int(part) for part in match.groups() if part is not None)
    return Fraction(top, bottom) if bottom else None


def _mixed(match: re.Match[str]) -> Fraction | None:
    units, top, bottom = (int(part) for part in match.groups() if part is not None)
    return units + Fraction(top, bottom) if 0 <= top < bottom else None


def _repeating(match: re.Match[str]) -> Fraction:
    whole, fixed, cycle = (part for part in match.groups() if part is not None)
    scale = 10 ** len(fixed)
    repeated = Fraction(int(cycle), (10 ** len(cycle) - 1) * scale)
    return int(whole or "0") + Fraction(int(fixed or "0"), scale) + repeated


def _literal(match: re.Match[str]) -> Fraction:
    return Fraction(int(match.group(), 0))


WRITINGS: list[tuple[re.Pattern[str], Callable[[re.Match[str]], Fraction | None]]] = [
    (re.compile(pattern, re.ASCII), value)
    for pattern, value in (
        (rf"{DECIMAL}(?:[eE]([+-]?\d{{1,3}})|{TEN})?", _power),
        (r"(-?\d{1,18})\s*/\s*(\d{1,18})", _ratio),
        (FRAC, _ratio),
        (r"(\d{1,9})\s*(?:\s|and\s|又)(\d{1,4})\s*/\s*(\d{1,4})", _mixed),
        (rf"(\d{{1,9}})\s*{FRAC}", _mixed),
        (r"(\d*)\.(\d*)\\(?:overline|bar|dot)\s*(?:\{\s*(\d+)\s*\}|(\d))", _repeating),
        (r"(\d*)\.(\d*)\((\d+)\)", _repeating),
        (r"(\d*)\.(\d*?)(\d+?)\3{2,}(?:\.\.\.|\\l?dots)", _repeating),
        (r"0[xX][0-9a-fA-F]{1,60}|0[bB][01]{1,200}|0[oO][0-7]{1,60}", _literal),
    )
]


def parse_number(text: str) -> Number | None:
    """Parse text in the notation of `notation.plain`; None for all else."""
    plain = PLAIN.fullmatch(text)
    if plain:
        whole, point, decimals = text.replace(",", "").partition(".")
        value = (
            Fraction(int(whole + decimals), 10 ** len(decimals)) if point else Fraction(int(whole))
        )
        return Number(value, bool(point))
    ratio = RATIO.fullmatch(text)
    if ratio:
        return Number(value) if (value := _ratio(ratio)) is not None else None
    around = AROUND.fullmatch(text) if len(text) <= MAX_CHARACTERS else None
    if around is None:
        return None
    first, money, second, written, percent, trailing = around.groups()
    currency = (money or trailing or "").removeprefix("US").lower()
    for pattern, value in WRITINGS:
        match = pattern.fullmatch(written)
        if match:
            found = None if first and second else value(match)
            sign = -1 if "-" in (first, second) else 1
            rounded = value is _power and "." in written
            if found is None:
                return None
            return Number(sign * found, rounded, bool(percent), currency)
    return None


def are_equal_plainly(gold: str, answer: str) -> bool | None:
    """Return whether plain integers, or equal decimals, are equal; None for all else."""
    left = PLAIN.fullmatch(gold)
    if left is None or gold == answer:
        return left and True
    right = PLAIN.fullmatch(answer) if left[1] else None
    return int(gold) == int(answer) if right and right[1] else None


def compare_numbers(gold: Number, answer: Number) -> float | None:
    """Return 1.0 for equal numbers, 0.0 for different ones, None if math-verify must decide.

    A percentage equals its number and its fraction: 50 % is 50 and 0.5.
    """
    if gold.currency and answer.currency and gold.currency != answer.currency:
        return 0.0
    left, right = gold.value, answer.value
    pairs = [(left, right)]
    if gold.percent != answer.percent:
        pairs.append((left / 100, right) if gold.percent else (left, right / 100))
    if any(one == other for one, other in pairs):
        return 1.0
    rounded = gold.rounded or answer.rounded
    return None if rounded and any(_are_near(*pair) for pair in pairs) else 0.0


def _are_near(left: Fraction, right: Fraction) -> bool:
    gap = abs(left - right)
    return gap <= ROUNDING and gap <= RELATIVE * max(abs(left), abs(right))
