"""Answers that look like mathematics and are none: dates, times, numerals in a base, sequences."""

import re
from datetime import date
from fractions import Fraction
from typing import Any

from r1trl_math.numeric import parse_number
from r1trl_math.readings.reading import bare
from r1trl_math.readings.words import MONTH_NAMES

ISO = re.compile(r"(\d{4})\s*[-/.]\s*(\d{1,2})\s*[-/.]\s*(\d{1,2})")
SHORT = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})")
CHINESE = re.compile(r"(?:(\d{4})\s*年\s*)?(\d{1,2})\s*月\s*(\d{1,2})\s*[日号]")
MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
MONTH = rf"(?i:(?P<month>{MONTH_NAMES}))\.?"
DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
YEAR = r"(?:,?\s+(?P<year>\d{4}))?"
MONTH_YEAR = re.compile(rf"{MONTH},?\s+(?P<year>\d{{4}})")
NAMED = (re.compile(rf"{MONTH}\s+{DAY}{YEAR}"), re.compile(rf"{DAY}\s+(?:of\s+)?{MONTH}{YEAR}"))
TIME = re.compile(r"(\d{1,2})(?::(\d{2}))?(?::(\d{2}))?\s*(?:([ap])\.?\s?m\.?)?", re.IGNORECASE)
BASE = re.compile(
    r"\(?([0-9A-Za-z]+)\)?(?:\s*_\s*\{?\s*(\d{1,2}|[a-z]+)\s*\}?|\s*\(?base[ -](\d{1,2}|[a-z]+)\)?)"
)
RATIO = re.compile(r"\d+(?:\.\d+)?(?:\s*:\s*\d+(?:\.\d+)?){2,}")
SEQUENCE = re.compile(r"-?\d+(?:\s+-?\d+)+")
VERSION = re.compile(r"\d+(?:\.\d+){2,}")
RANGE = re.compile(r"\d+(?:[.:]\d+)?\s*-\s*\d+(?:[.:]\d+)?")
PARTS = re.compile(r"\(([a-f]|i{1,3}|iv|v)\)\s*")
CYCLES = re.compile(r"(?:\(\s*\d+(?:\s+\d+)+\s*\)\s*)+")
NUMERAL_NAMES = dict(
    zip(
        "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
        "sixteen".split(),
        range(2, 17),
        strict=True,
    )
)
Form = tuple[str, Any, str]  # what it is, its value, its digits without the base


def special_form(line: str) -> Form | None:
    """Return what kind of special answer a line is, and its value; None if it is none."""
    text = bare(line).strip()
    if not any(character.isdigit() for character in text) or len(text) > 200:
        return None
    for form in (_date, _time, _base, _numbers):
        found = form(text)
        if found:
            return found
    return None


def compare_forms(gold: Form | None, answer: Form | None, texts: tuple[str, str]) -> float | None:
    """Return 1.0 or 0.0 if one of the two answers is special, else None.

    `texts` are both lines. A numeral without a base has the other's, and a gold time without am or
    pm fits both.
    """
    if gold and answer and gold[0] == answer[0]:
        return float(gold[1] == answer[1])
    if gold and answer:
        return 0.0
    special, other = (gold, texts[1]) if gold else (answer, texts[0])
    if special is None:
        return None
    if special[0] == "range" and gold is None:
        return None  # 43-1 is 42
    if special[0] == "base" and gold is None:
        number = parse_number(bare(other).strip())
        return float(number is not None and number.value == special[1])
    if special[0] == "base":
        return float(special[2].lstrip("0") == bare(other).strip().lower().lstrip("0"))
    if special[0] == "time":
        clock = TIME.fullmatch(bare(other).strip())
        return float(bool(clock) and _fits(special[1], _clock(clock), gold is None))
    if special[0] == "sequence":
        return float(special[1] == re.findall(r"-?\d+", other) and "," in other)
    return 0.0


def _fits(special: Any, clock: Any, is_answer: bool) -> bool:
    return special == clock or (
        is_answer and special[0] % 12 == clock[0] % 12 and special[1:] == clock[1:]
    )


def _date(text: str) -> Form | None:
    match = ISO.fullmatch(text) or CHINESE.fullmatch(text)
    if match:
        return _calendar(match[1], match[2], match[3])
    match = SHORT.fullmatch(text)
    if match:
        return "date", tuple(map(int, match.groups())), ""
    match = MONTH_YEAR.fullmatch(text)
    if match:
        return "date", (int(match["year"]), MONTHS.index(match["month"].lower()[:3]) + 1, None), ""
    for pattern in NAMED:
        match = pattern.fullmatch(text)
        if match:
            month = MONTHS.index(match["month"].lower()[:3]) + 1
            return _calendar(match["year"], month, match["day"])
    return None


def _calendar(year: Any, month: Any, day: Any) -> Form | None:
    try:
        date(int(year or 2000), int(month), int(day))
    except ValueError:
        return None
    return "date", (int(year) if year else None, int(month), int(day)), ""


def _time(text: str) -> Form | None:
    match = TIME.fullmatch(text)
    return ("time", _clock(match), "") if match and match[4] else None


def _clock(match: re.Match[str]) -> tuple[int, int, int]:
    hour, minute, second = (int(part or 0) for part in match.groups()[:3])
    if match[4]:
        hour = hour % 12 + (12 if match[4].lower() == "p" else 0)
    return hour, minute, second


def _base(text: str) -> Form | None:
    match = BASE.fullmatch(text)
    if not match:
        return None
    digits, name = match[1].lower(), match[2] or match[3]
    base = int(name) if name.isdigit() else NUMERAL_NAMES.get(name, 0)
    has_digit = any(digit.isdigit() for digit in digits)
    if not 2 <= base <= 36 or not (has_digit or base == 16):
        return None
    try:
        return "base", int(digits, base), digits
    except ValueError:  # no numeral of this base, and so equal to no number
        return ("base", None, "") if digits.isdigit() else None


def _numbers(text: str) -> Form | None:
    if RATIO.fullmatch(text):
        parts = [Fraction(part) for part in re.split(r"\s*:\s*", text)]
        scale = next((part for part in parts if part), Fraction(1))
        return "ratio", tuple(part / scale for part in parts), ""
    if VERSION.fullmatch(text):
        return "version", text, ""
    if RANGE.fullmatch(text):
        return "range", re.split(r"\s*-\s*", text), ""
    labels = PARTS.findall(text)
    if len(labels) > 1 and PARTS.match(text):
        parts = [part.strip(" ,;.") for part in PARTS.split(text)[2::2]]
        return "parts", sorted(zip(labels, parts, strict=False)), ""
    if CYCLES.fullmatch(text):
        cycles = [cycle.split() for cycle in re.findall(r"\(([^()]*)\)", text)]
        return "cycles", sorted(_rotated(cycle) for cycle in cycles), ""
    if SEQUENCE.fullmatch(text) and parse_number(text) is None:
        return "sequence", text.split(), ""
    return None


def _rotated(cycle: list[str]) -> list[str]:
    first = cycle.index(min(cycle))
    return cycle[first:] + cycle[:first]
