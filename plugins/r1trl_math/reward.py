r"""The reward `accuracy`, and its quick half that runs in the training process."""

from typing import Any

import r1trl
from r1trl import UNDECIDED
from r1trl_math.answers import Policy, extract, last_boxed, option_letter
from r1trl_math.plain import compare
from r1trl_math.verdict import parse, parse_answer, parse_gold, verify, warm

Solution = str | list[str]


def golds(solution: Any) -> list[str]:
    """Return the gold answers of a row: one, or any of a list; numbers are written out."""
    many = solution if isinstance(solution, (list, tuple)) else [solution]
    return [str(gold) for gold in many if gold is not None]


def chosen(found: str | None, solution: Solution) -> float | None:
    """Score a chosen option letter; None where no gold is a letter."""
    letters = [option_letter(last_boxed(gold) or gold) for gold in golds(solution)]
    if not any(letters):
        return None
    return float(found is not None and found in letters)


def quick(completion: str, solution: Solution, *, answer: Policy = "boxed") -> Any:
    """Answer for option letters and for plain numbers, as `accuracy` would; else UNSURE."""
    if answer == "choice":
        return chosen(extract(completion, answer), solution)
    if answer == "latex_any":
        return UNDECIDED
    found = extract(completion, answer)
    short = [last_boxed(gold) or gold for gold in golds(solution)]
    verdicts = [compare(gold, gold if found is None else found) for gold in short]
    if found is None and any(verdicts):
        return 0.0
    if 1.0 in verdicts:
        return 1.0
    return UNDECIDED if None in verdicts or not verdicts else 0.0


def vote(completion: str, *, answer: Policy = "boxed") -> str | None:
    """Return the answer that a completion votes for."""
    return extract(completion, answer)


@r1trl.verifier(quick=quick, prepare=warm, extract=vote)
def accuracy(completion: str, solution: Solution, *, answer: Policy = "boxed") -> float | None:
    r"""Return 1 if the answer equals a gold by math-verify, else 0; None if no gold can be parsed.

    R = 1[answer = gold] (DeepSeek-R1, arXiv 2501.12948, section 2.2). `solution` is a gold or a
    list of them: plain, LaTeX, or a worked solution with a \boxed{}. `answer` says where the
    completion's answer is, after its last `</think>`: `boxed` (the last \boxed{}), `answer_tag`
    (the last `<answer>`), `tag_or_box` (the last `<answer>`, else the last \boxed{}),
    `last_number`, `latex_any` (math-verify's own extraction) or `choice` (an option letter A to
    J). No answer scores 0.
    """
    found = extract(completion, answer)
    if answer == "choice":
        return chosen(found, solution)
    parsed = [gold for gold in map(parse_gold, golds(solution)) if gold]
    if not parsed:
        return None
    if found is None:
        return 0.0
    read = parse(found) if answer == "latex_any" else parse_answer(found)
    return float(any(verify(gold, read) for gold in parsed))
