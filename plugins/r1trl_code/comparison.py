"""Comparison of results with the expected ones: lines of output, and values as JSON has them."""

import json
import math
import re
from decimal import Decimal
from typing import Any

DICTIONARIES = ("collections.Counter", "collections.OrderedDict", "collections.defaultdict")
NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d{1,3})?", re.ASCII)


def equal_words(expected: str, printed: str) -> bool:
    """Return True if two lines are equal, word by word as text or as numbers.

    LiveCodeBench compares numbers as decimals. Contests also allow an error of 1e-6: here a decimal
    may be off by half of the last place that the expected one shows, within 1e-9 and 1e-6, or by
    1e-12 of its size. Numbers that are written with leading zeros are text.
    """
    if expected == printed:
        return True
    pairs = expected.split(" "), printed.split(" ")
    return len(pairs[0]) == len(pairs[1]) and all(map(_equal_word, *pairs))


def _equal_word(expected: str, printed: str) -> bool:
    if expected == printed:
        return True
    parts = NUMBER.fullmatch(expected)
    if parts is None or not NUMBER.fullmatch(printed):
        return False
    number, other = Decimal(expected), Decimal(printed)
    if not parts[2] and not parts[3]:
        return number == other
    half = Decimal(5).scaleb(int(number.as_tuple().exponent) - 1)
    error = max(min(half, Decimal("1e-6")), Decimal("1e-9"), abs(number) * Decimal("1e-12"))
    return abs(number - other) <= error


def equals_json(expected: Any, actual: Any) -> bool:
    """Return True if an encoded value equals the expected JSON value.

    A tuple equals a list, keys are compared as JSON writes them, and a bool is no number; a set or
    any other object equals no JSON value. Floats are equal within 1e-9 relative or 1e-12 absolute,
    and within 1e-9 of an expected 0, which rounding hardly ever leaves.
    """
    if isinstance(actual, dict):
        ((kind, content),) = actual.items()
        if kind == "dict":
            return isinstance(expected, dict) and _equal_items(expected, content)
        if kind == "content":  # of a subclass, by its plain type alone
            return equals_json(expected, content[2])
        if kind == "standard":
            return content[0] in DICTIONARIES and equals_json(expected, content[1][-1])
        if kind not in ("tuple", "int"):
            return False
        actual = content if kind == "tuple" else int(content, 16)
    if isinstance(expected, list) and isinstance(actual, list):
        return len(expected) == len(actual) and all(map(equals_json, expected, actual))
    if _is_number(expected) and _is_number(actual):
        return _close(expected, actual)
    return type(expected) is type(actual) and expected == actual


def _equal_items(expected: dict[str, Any], pairs: list[tuple[Any, Any]]) -> bool:
    if len(expected) != len(pairs):
        return False
    actual = {key if isinstance(key, str) else json.dumps(key): value for key, value in pairs}
    return actual.keys() == expected.keys() and all(
        equals_json(expected[k], actual[k]) for k in actual
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _close(expected: float, actual: float) -> bool:
    if isinstance(expected, int) and isinstance(actual, int):
        return expected == actual
    try:
        both_nan = math.isnan(expected) and math.isnan(actual)
        return both_nan or math.isclose(
            expected, actual, rel_tol=1e-9, abs_tol=1e-12 if expected else 1e-9
        )
    except OverflowError:  # an integer too large for any float
        return False
