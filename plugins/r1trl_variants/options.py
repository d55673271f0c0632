"""The variant of questions with options to choose from: the options in another order."""

import random
import re
from typing import Any

import r1trl
from r1trl import PromptSettings
from r1trl_variants.question import Row, question_of, with_question

OPTION = re.compile(r"^([ \t]*\(?)([A-Z])([).:][ \t]+)(.*)$", re.M)


@r1trl.describe(keeps_answer=False)
def option_order(
    row: Row, settings: PromptSettings, rng: random.Random
) -> tuple[Row, PromptSettings]:
    """Put the options of a question, lines such as `A) …`, into another order.

    The letters stay in theirs, and a `solution` that is a letter becomes the new one. A question
    without such lines stays as it is.
    """
    text = question_of(row)
    found = list(OPTION.finditer(text))
    letters = [option.group(2) for option in found]
    if len(found) < 2 or letters != [chr(ord("A") + i) for i in range(len(found))]:
        return row, settings
    order = list(range(len(found)))
    while order == sorted(order):
        rng.shuffle(order)
    contents = iter([found[old].group(4) for old in order])
    asked = OPTION.sub(lambda o: o.group(1) + o.group(2) + o.group(3) + next(contents), text)
    return _with_solution(with_question(row, asked), letters, order), settings


def _with_solution(row: dict[str, Any], letters: list[str], order: list[int]) -> dict[str, Any]:
    """Return a row with the letter that its solution has in the new order."""
    solution = row.get("solution")
    if solution not in letters:
        return row
    return {**row, "solution": letters[order.index(letters.index(solution))]}
