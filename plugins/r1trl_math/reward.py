r"""The reward `accuracy`, and its fast path that runs in the training process."""

import re
from typing import Any

import r1trl
from r1trl import UNDECIDED
from r1trl_math.answers import AnswerSource, extract_answer, last_boxed, last_tagged, option_letter
from r1trl_math.expressions.compare import extract, parse, verify, warm_up
from r1trl_math.readings.notation import plain
from r1trl_math.readings.reading import bare
from r1trl_math.verdict import Expressions, Verdict, decide

Solution = str | list[str]
# What data sets have in place of an answer.
PLACEHOLDERS = frozenset(
    "n/a|na|none|null|unknown|proof|see solution|see above|see explanation|not found|not provided|"
    "not given|answers will vary|omitted|...|-|--|?|略|图略|见解析|见证明|证明略|证明见解析|"
    "答案不唯一".split("|")
)
LABELLED = re.compile(r"\s*[(\[]?([A-J])[)\].:]\s+\S")  # an option with its text: "C. 42"


def gold_answers(solution: Any) -> list[str]:
    r"""Return the gold answers of a row as texts, one or several, each out of its \boxed{}."""
    return [gold for text in r1trl.gold_texts(solution) if (gold := _gold(text)) is not None]


def _gold(text: str) -> str | None:
    if "\\" in text or "<" in text:
        text = last_boxed(text) or last_tagged(text) or text
    if "####" in text and text.partition("####")[0].strip():
        return None  # a worked solution of GSM8K's, with its answer after the mark
    if any(map(str.isdecimal, text)):
        return text
    return None if bare(plain(text)).strip().lower() in PLACEHOLDERS else text


def score_choice(letter: str | None, solution: Solution) -> float | None:
    """Score a chosen option letter; None if no gold is a letter."""
    golds = gold_answers(solution)
    labels = [LABELLED.match(gold) for gold in golds]
    letters = [
        label[1] if label else option_letter(g) for g, label in zip(golds, labels, strict=True)
    ]
    if not any(letters):
        return None
    return float(letter is not None and letter in letters)


def fast_path(
    completion: str, solution: Solution, prompt: Any = "", *, answer: AnswerSource = "boxed"
) -> Any:
    """Score all that math-verify is not needed for as `accuracy` does; UNDECIDED for the rest."""
    if answer == "latex_any":
        return UNDECIDED
    text = r1trl.with_prefill(prompt, completion) if prompt else completion
    extracted = extract_answer(text, answer)
    if answer == "choice":
        return score_choice(extracted, solution)
    verdicts = _verdicts(extracted, solution)
    if 1.0 in verdicts:
        return 1.0
    if any(isinstance(verdict, Expressions) for verdict in verdicts):
        return UNDECIDED
    return 0.0 if 0.0 in verdicts else None


def voted_answer(completion: str, *, answer: AnswerSource = "boxed") -> str | None:
    """Return the answer that a completion votes for in a majority vote."""
    return extract_answer(completion, answer)


@r1trl.verifier(fast_path=fast_path, setup=warm_up, extract_answer=voted_answer)
def accuracy(
    completion: str, solution: Solution, prompt: Any = "", *, answer: AnswerSource = "boxed"
) -> float | None:
    r"""Return 1 if the answer equals a gold, else 0; None if no gold can be compared.

    R = 1[answer = gold] (DeepSeek-R1, arXiv 2501.12948, section 2.2). `solution` is a gold or a
    list of them: plain, LaTeX, or a worked solution with a \boxed{}. `answer` is the place of the
    answer in the completion, after its last `</think>`: `boxed` (the last \boxed{}), `answer_tag`
    (the last `<answer>`), `tag_or_box` (the last `<answer>`, else the last \boxed{}),
    `last_number`, `latex_any` (math-verify's own extraction) or `choice` (an option letter A to
    J). No answer scores 0, and so does one in thinking that has not ended. Texts, numbers and
    quantities are compared as such, expressions with math-verify; docs/REWARDS.md has the rules.
    """
    extracted = extract_answer(r1trl.with_prefill(prompt, completion), answer)
    if answer == "choice":
        return score_choice(extracted, solution)
    if answer == "latex_any" and extracted is not None:
        extracted = latex_in(extracted)
    scores = [_settled(verdict) for verdict in _verdicts(extracted, solution)]
    return max((score for score in scores if score is not None), default=None)


def latex_in(text: str) -> str | None:
    """Return the LaTeX or number that math-verify extracts from a text; None if there is none."""
    found = extract(text)
    return str(found[-1]) if found else None


def _verdicts(extracted: str | None, solution: Solution) -> list[Verdict]:
    """Return the verdict on an answer by each gold."""
    return [decide(gold, extracted or "") for gold in gold_answers(solution)]


def _settled(verdict: Verdict) -> float | None:
    """Return a verdict once math-verify has compared what it must; None if it parses no gold."""
    if not isinstance(verdict, Expressions):
        return verdict
    gold = parse(verdict.gold)
    return float(verify(gold, parse(verdict.answer))) if gold else None
