"""The reward `reflection_words`: how often a completion stops to doubt or to check.

DeepSeek-R1-Zero comes to use such words five to seven times as often while it learns to reason.
"""

import re
from functools import cache
from typing import Any

import r1trl
from r1trl_language.scripts import HAN, HIRAGANA, KATAKANA

# The ten of the paper (DeepSeek-R1, arXiv 2501.12948v2, supplement C.2).
ENGLISH = "wait mistake however but retry error verify wrong evaluate check".split()
# Of r1trl's own choice, with the same meanings; without 不对, which begins 不对称 (asymmetric).
CHINESE = (
    "等等 等一下 错误 算错 错了 有误 但是 然而 不过 重试 重新 验证 验算 评估 检查 核对".split()
)
SHORT = 10_000  # characters, counted in milliseconds
WITHOUT_SPACES = f"{HAN}{HIRAGANA}{KATAKANA}"  # letters of scripts that put none between words


def missing_requirements(*, words: list[str] | None = None) -> str | None:
    """Return why words cannot be counted: there are none, or one is empty; else None."""
    if words is None or (words and all(word.strip() for word in words)):
        return None
    return "words: must name at least one word, and no empty one; null counts the usual ones"


def fast_path(completion: str, *, words: list[str] | None = None) -> Any:
    """Count the words of a short completion; a long one is left to the scoring processes."""
    return counted(completion, words) if len(completion) <= SHORT else r1trl.UNDECIDED


@r1trl.verifier(fast_path=fast_path, missing_requirements=missing_requirements)
def reflection_words(completion: str, *, words: list[str] | None = None) -> float:
    """Return how many reflection words a completion has: a count, for `weight: 0.0`.

    R = the occurrences of the paper's ten English words (DeepSeek-R1, arXiv 2501.12948v2,
    supplement C.2) and of sixteen Chinese ones, or of `words` in place of all of them; thinking and
    answer count alike. A word counts in any case and as a whole one: `checked` is not `check`. One
    with Chinese or Japanese letters, which no spaces part, counts wherever it stands. Occurrences
    do not overlap; of several that begin at one place the longest counts. Raises ValueError if
    `words` are none, or one is empty.
    """
    return counted(completion, words)


def counted(text: str, words: list[str] | None) -> float:
    """Return how often words are in a text; see `reflection_words`."""
    if problem := missing_requirements(words=words):
        raise ValueError(problem)
    pattern = pattern_of(tuple([*ENGLISH, *CHINESE] if words is None else words))
    return float(sum(1 for _ in pattern.finditer(text)))


@cache
def pattern_of(words: tuple[str, ...]) -> re.Pattern[str]:
    """Return what finds words in a text; see `reflection_words`."""
    ordered = sorted({word.strip() for word in words}, key=len, reverse=True)
    return re.compile("|".join(map(_alone, ordered)), re.IGNORECASE)


def _alone(word: str) -> str:
    """Return a pattern for a word: between letters of its own kind it is part of another one."""
    if re.search(f"[{WITHOUT_SPACES}]", word):
        return re.escape(word)
    letter = rf"[^\W{WITHOUT_SPACES}]"
    return f"(?<!{letter}){re.escape(word)}(?!{letter})"
