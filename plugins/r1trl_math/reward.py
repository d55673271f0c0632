r"""The reward `accuracy`, and its fast path that runs in the training process."""

from typing import Any

import r1trl
from r1trl import UNDECIDED
from r1trl_math.answers import AnswerSource, extract_answer, last_boxed, option_letter
from r1trl_math.numeric import compare_numbers
from r1trl_math.symbolic import parse, parse_answer, parse_gold, verify, warm_up

Solution = str | list[str]


def gold_answers(solution: Any) -> list[str]:
    """Return the gold answers of a row as texts: one, or all of a list that are not None."""
    golds = solution if isinstance(solution, (list, tuple)) else [solution]
    return [str(gold) for gold in golds if gold is not None]


def score_choice(letter: str | None, solution: Solution) -> float | None:
    """Score a chosen option letter; None if no gold is a letter."""
    letters = [option_letter(last_boxed(gold) or gold) for gold in gold_answers(solution)]
    if not any(letters):
        return None
    return float(letter is not None and letter in letters)


def fast_path(
    completion: str, solution: Solution, prompt: Any = "", *, answer: AnswerSource = "boxed"
) -> Any:
    """Score option letters and plain numbers as `accuracy` does; UNDECIDED for all else."""
    completion = r1trl.with_prefill(prompt, completion)
    if answer == "choice":
        return score_choice(extract_answer(completion, answer), solution)
    if answer == "latex_any":
        return UNDECIDED
    extracted = extract_answer(completion, answer)
    golds = [last_boxed(gold) or gold for gold in gold_answers(solution)]
    scores = [compare_numbers(gold, gold if extracted is None else extracted) for gold in golds]
    if extracted is None and any(scores):
        return 0.0
    if 1.0 in scores:
        return 1.0
    return UNDECIDED if None in scores or not scores else 0.0


def voted_answer(completion: str, *, answer: AnswerSource = "boxed") -> str | None:
    """Return the answer that a completion votes for in a majority vote."""
    return extract_answer(completion, answer)


@r1trl.verifier(fast_path=fast_path, setup=warm_up, extract_answer=voted_answer)
def accuracy(
    completion: str, solution: Solution, prompt: Any = "", *, answer: AnswerSource = "boxed"
) -> float | None:
    r"""Return 1 if the answer equals a gold by math-verify, else 0; None if no gold can be parsed.

    R = 1[answer = gold] (DeepSeek-R1, arXiv 2501.12948, section 2.2). `solution` is a gold or a
    list of them: plain, LaTeX, or a worked solution with a \boxed{}. `answer` is the place of the
    answer in the completion, after its last `</think>`: `boxed` (the last \boxed{}), `answer_tag`
    (the last `<answer>`), `tag_or_box` (the last `<answer>`, else the last \boxed{}),
    `last_number`, `latex_any` (math-verify's own extraction) or `choice` (an option letter A to
    J). No answer scores 0.
    """
    extracted = extract_answer(r1trl.with_prefill(prompt, completion), answer)
    if answer == "choice":
        return score_choice(extracted, solution)
    parsed_golds = [gold for gold in map(parse_gold, gold_answers(solution)) if gold]
    if not parsed_golds:
        return None
    if extracted is None:
        return 0.0
    parsed = parse(extracted) if answer == "latex_any" else parse_answer(extracted)
    return float(any(verify(gold, parsed) for gold in parsed_golds))
