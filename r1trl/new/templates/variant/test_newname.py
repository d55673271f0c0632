"""What the variant promises."""

import random

from newname import newname

import r1trl


def test_the_question_is_asked_politely_and_its_solution_stays() -> None:
    row = {"prompt": "What is 1 plus 2?", "solution": "3"}
    varied, _ = newname(row, r1trl.PromptSettings(), random.Random(1))
    assert varied == {"prompt": "What is 1 plus 2? Please.", "solution": "3"}
