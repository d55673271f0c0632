"""Variants that say something around the question, which itself stays."""

import random
import re
from dataclasses import replace
from typing import Any, Literal

import r1trl
from r1trl import PromptSettings
from r1trl_variants import texts
from r1trl_variants.question import Row, language_of, question_of, with_question

Place = Literal["before", "after"]
DIRECTIVE = re.compile(r"\s*[^.。\n{}]*\\boxed\{[^}]*\}[^.。\n{}]*[.。]?")


def beside(row: Row, text: str, place: Place) -> dict[str, Any]:
    """Return a row with a text on a line before or after its question."""
    lines = (text, question_of(row)) if place == "before" else (question_of(row), text)
    return with_question(row, "\n".join(lines))


@r1trl.describe(keeps_answer=True)
def paraphrase(
    row: Row,
    settings: PromptSettings,
    rng: random.Random,
    *,
    number: Literal[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12] | None = None,
) -> tuple[Row, PromptSettings]:
    """Ask for the answer in other words, on a line before the question.

    `number` is one of twelve instructions, None: one at random for each row.
    """
    choices = texts.PARAPHRASES[language_of(row)]
    text = rng.choice(choices) if number is None else choices[number - 1]
    return beside(row, text, "before"), settings


@r1trl.describe(keeps_answer=True)
def instruction(
    row: Row, settings: PromptSettings, rng: random.Random, *, place: Place = "after"
) -> tuple[Row, PromptSettings]:
    """Ask for the answer in the words of the first paraphrase, in the `place` before or after."""
    return beside(row, texts.PARAPHRASES[language_of(row)][0], place), settings


@r1trl.describe(keeps_answer=True)
def boxed(
    row: Row, settings: PromptSettings, rng: random.Random, *, on: bool = True
) -> tuple[Row, PromptSettings]:
    """Ask for the answer in a box, on a line after the question; or, not `on`, no longer do so.

    What asks for a box already is taken out: of the question, the system prompt and the template.
    """
    asked = with_question(row, DIRECTIVE.sub("", question_of(row)).strip())
    system, template = (
        DIRECTIVE.sub("", text) if text else text for text in (settings.system, settings.template)
    )
    own = replace(settings, system=system or None, template=template)
    return (beside(asked, texts.BOXED[language_of(row)], "after") if on else asked), own


@r1trl.describe(keeps_answer=True)
def language(
    row: Row,
    settings: PromptSettings,
    rng: random.Random,
    *,
    answer: Literal["en", "zh", "other"] = "other",
) -> tuple[Row, PromptSettings]:
    """Ask for an answer in a language, on a line before the question, which is not translated.

    `answer` is the language; `other`: Chinese of English questions, English of Chinese ones.
    """
    own = language_of(row)
    wanted = {"en": "zh", "zh": "en"}[own] if answer == "other" else answer
    return beside(row, texts.ANSWER_IN[own][wanted], "before"), settings


@r1trl.describe(keeps_answer=True)
def role_play(row: Row, settings: PromptSettings, rng: random.Random) -> tuple[Row, PromptSettings]:
    """Put the question into a scene in class."""
    asked = texts.ROLE_PLAY[language_of(row)].format(question_of(row))
    return with_question(row, asked), settings


@r1trl.describe(keeps_answer=True)
def examples(
    row: Row,
    settings: PromptSettings,
    rng: random.Random,
    *,
    count: int = 1,
    reasoned: bool = False,
    answer: Literal["plain", "tag", "boxed"] = "plain",
    worked: list[dict[str, str]] | None = None,
) -> tuple[Row, PromptSettings]:
    """Show `count` questions with their answers before the question; 0 shows none.

    `reasoned` answers have their reasoning in think tags; `answer` is how the answer is written.
    `worked` are examples of one's own, with `question`, `answer` and `reasoning`, in place of three
    small sums. Raises ValueError if there are fewer than `count`.
    """
    own = language_of(row)
    there = texts.EXAMPLES[own] if worked is None else [_example(each) for each in worked]
    if not 0 <= count <= len(there):
        raise ValueError(f"count: {count} examples of {len(there)} cannot be shown")
    if not count:
        return row, settings
    asks, answers = texts.QUESTION_AND_ANSWER[own]
    shown = []
    for question, reasoning, result in there[:count]:
        written = texts.ANSWERS[answer].format(result)
        written = texts.REASONED.format(reasoning, written) if reasoned else written
        shown.append(f"{asks}{question}\n{answers}{written}\n")
    return with_question(row, "\n".join([*shown, asks + question_of(row)])), settings


def _example(given: dict[str, str]) -> tuple[str, str, str]:
    """Return an example of somebody's own; raise ValueError if a part is missing."""
    parts = ("question", "reasoning", "answer")
    if missing := [part for part in parts if part not in given]:
        raise ValueError(f"worked: an example has no '{missing[0]}'; it needs {', '.join(parts)}")
    return given["question"], given["reasoning"], given["answer"]
