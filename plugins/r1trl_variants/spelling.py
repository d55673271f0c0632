"""Variants of how a question is written: spaces, case, punctuation, typing errors."""

import random
import re
from collections.abc import Callable
from typing import Literal

import r1trl
from r1trl import PromptSettings
from r1trl_variants.question import Row, is_chinese, question_of, with_question
from r1trl_variants.texts import NUMBER_CHARACTERS, NUMBER_WORDS

# Formulas, commands, code, addresses and tags, which mean something as they are written.
FIXED = re.compile(
    r"(\$\$.*?\$\$|\$[^$]*\$|\\\(.*?\\\)|\\\[.*?\\\]|\\[a-zA-Z]+(?:\{[^{}]*\})*|```.*?```|`[^`]*`"
    r"|https?://\S+|<[^<>]+>)",
    re.S,
)
WORD = re.compile(r"[A-Za-z]{2,}")
END = re.compile(r"[.?!。？！]+(?=\s*$)")


def in_prose(row: Row, change: Callable[[str], str]) -> Row:
    """Return a row with its question changed where it is prose."""
    parts = FIXED.split(question_of(row))
    return with_question(row, "".join(p if i % 2 else change(p) for i, p in enumerate(parts)))


@r1trl.describe(keeps_answer=True)
def spacing(
    row: Row,
    settings: PromptSettings,
    rng: random.Random,
    *,
    style: Literal["double", "random", "edges"] = "double",
) -> tuple[Row, PromptSettings]:
    """Write the question with other spaces.

    `style`: every space twice; up to three spaces each, of Chinese a space here and there; or a
    line break before the question and spaces after it.
    """
    if style == "edges":
        return with_question(row, f"\n{question_of(row)}  "), settings
    if style == "double":
        return in_prose(row, lambda text: text.replace(" ", "  ")), settings

    def scattered(text: str) -> str:
        wide = re.sub(" ", lambda _: " " * rng.randint(1, 3), text)
        letters = [c + " " if is_chinese(c) and rng.random() < 0.2 else c for c in wide]
        return "".join(letters)

    return in_prose(row, scattered), settings


@r1trl.describe(keeps_answer=True)
def case(
    row: Row,
    settings: PromptSettings,
    rng: random.Random,
    *,
    style: Literal["upper", "lower", "title"] = "upper",
) -> tuple[Row, PromptSettings]:
    """Write the words in another case, by `style`; single letters, as of variables, stay."""

    def changed(text: str) -> str:
        return WORD.sub(lambda word: str(getattr(word.group(), style)()), text)

    return in_prose(row, changed), settings


@r1trl.describe(keeps_answer=True)
def punctuation(
    row: Row,
    settings: PromptSettings,
    rng: random.Random,
    *,
    style: Literal["none", "repeated", "other"] = "none",
) -> tuple[Row, PromptSettings]:
    """End the question by `style`: without a mark, with three, or with a stop for a query mark."""
    others = {"?": ".", "？": "。", "。": "？"}

    def ended(mark: "re.Match[str]") -> str:
        last = mark.group()[-1]
        return {"none": "", "repeated": last * 3, "other": others.get(last, "?")}[style]

    return with_question(row, END.sub(ended, question_of(row))), settings


@r1trl.describe(keeps_answer=True)
def typos(
    row: Row, settings: PromptSettings, rng: random.Random, *, rate: float = 0.15
) -> tuple[Row, PromptSettings]:
    """Misspell words: two letters change places, one is missing, or one stands twice.

    `rate` is the share of words of four letters or more, and of Chinese characters; at least one
    if there is any. Words and characters of numbers stay. Raises ValueError if it is no share.
    """
    if not 0 < rate <= 1:
        raise ValueError(f"rate: {rate:g} is no share above 0")
    parts = FIXED.split(question_of(row))
    places = [
        (i, found.start(), found.end())
        for i, part in enumerate(parts)
        if i % 2 == 0
        for found in re.finditer(r"[A-Za-z]{4,}|[\u4e00-\u9fff]", part)
        if found.group().lower() not in NUMBER_WORDS | NUMBER_CHARACTERS
    ]
    chosen = [place for place in places if rng.random() < rate]
    chosen = chosen or ([rng.choice(places)] if places else [])
    for i, start, end in reversed(chosen):
        parts[i] = parts[i][:start] + _misspelt(parts[i][start:end], rng) + parts[i][end:]
    return with_question(row, "".join(parts)), settings


def _misspelt(word: str, rng: random.Random) -> str:
    """Return a word with one error; a single character stands twice."""
    if len(word) == 1:
        return word * 2
    at = rng.randrange(1, len(word) - 2) if len(word) > 3 else 1
    before, one, two, after = word[:at], word[at], word[at + 1], word[at + 2 :]
    ways = [before + two + one + after, before + two + after, before + one * 2 + two + after]
    return rng.choice([way for way in ways if way != word])
