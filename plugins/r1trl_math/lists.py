"""Lists and equations as they are written, before math-verify makes sets of them."""

import re

from r1trl_math.numeric import parse_number

ENCLOSED = re.compile(r"([(\[])([^()\[\]]*)([)\]])")
SET = re.compile(r"(\\\{)([^{}]*)(\\\})")
RELATION = re.compile(r"[<>]|\\[lg]eq?\b")
JOINING = re.compile(r"\b(and|or)\b")
THOUSANDS = re.compile(r"\d,\d{3}(?!\d)")


def says_two_things(piece: str) -> bool:
    """Return True if an answer equates different numbers: 43 = 42."""
    numbers = [parse_number(part.strip()) for part in piece.split("=")] if "=" in piece else []
    return len({number.value for number in numbers if number}) > 1


def differ_in_form(gold: str, answer: str) -> bool:
    """Return True for lists of different lengths, (a, b) beside [a, b], and "and" beside "or".

    math-verify makes sets of lists, in which 1, 2, 2 is 1, 2.
    """
    left, right = ENCLOSED.fullmatch(gold), ENCLOSED.fullmatch(answer)
    if left and right and (left[1], left[3]) != (right[1], right[3]):
        return True
    if all(RELATION.search(piece) for piece in (gold, answer)):
        joined = [set(JOINING.findall(piece)) for piece in (gold, answer)]
        if joined[0] and joined[1] and joined[0] != joined[1]:
            return True
    if THOUSANDS.search(gold) or THOUSANDS.search(answer):
        return False
    counts = _elements(gold), _elements(answer)
    single = counts[1] == 1 and parse_number(answer) is not None
    return (min(counts) > 1 or single) and counts[0] != counts[1]


def _elements(piece: str) -> int:
    """Return how many elements a list has: one more than the commas outside of inner brackets."""
    enclosed = ENCLOSED.fullmatch(piece) or SET.fullmatch(piece)
    depth, count = 0, 1
    for sign in enclosed[2] if enclosed else piece:
        depth += (sign in "([{") - (sign in ")]}")
        count += sign == "," and depth == 0
    return count
