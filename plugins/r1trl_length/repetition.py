"""The reward `repetition`, and the units whose n-grams it counts: tokens, words, Chinese words."""

import functools
import logging
import warnings
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any, Literal

import r1trl

Units = Literal["tokens", "words", "chinese_words"]
MISSING = "units=chinese_words needs the package jieba: pip install 'r1trl[chinese]'"


def missing_requirements(*, units: Units = "tokens", **options: Any) -> str | None:
    """Return the command that installs jieba if it is needed and missing, else None."""
    return MISSING if units == "chinese_words" and find_spec("jieba") is None else None


@r1trl.describe(missing_requirements=missing_requirements)
class Repetition:
    """Punish the share of n-grams that have occurred before.

    R = max_penalty · (1 - unique n-grams / n-grams) (Yeo et al., arXiv 2502.03373, appendix C.2),
    0 for fewer than `n` units. `units` are the completion's tokens, or its words in lower
    case: split at white space or, for Chinese, by jieba. Raises ValueError unless n ≥ 1 and
    max_penalty ≤ 0.
    """

    def __init__(self, *, n: int = 3, max_penalty: float = -1.0, units: Units = "tokens") -> None:
        if n < 1:
            raise ValueError(f"n={n} must be at least 1")
        if max_penalty > 0:
            raise ValueError(f"max_penalty={max_penalty} must not be positive")
        self.n, self.max_penalty, self.units = n, max_penalty, units

    def __call__(
        self,
        prompts: list[str],
        completions: list[str],
        completion_ids: list[list[int]],
        **columns: Any,
    ) -> list[float]:
        """Return values from max_penalty to 0."""
        if self.units == "tokens":
            return [self.value(ids) for ids in completion_ids]
        split = chinese_words() if self.units == "chinese_words" else str.split
        return [self.value(split(completion.lower())) for completion in completions]

    def value(self, units: Sequence[Any]) -> float:
        """Return the penalty of one sequence of units."""
        share = repeated_share(units, self.n)
        return self.max_penalty * share if share else 0.0


def repeated_share(units: Sequence[Any], n: int) -> float:
    """Return the share of n-grams that have occurred before; 0 if there are none."""
    total = len(units) - n + 1
    if total < 1:
        return 0.0
    unique = len(set(zip(*(units[i : i + total] for i in range(n)), strict=True)))
    return 1 - unique / total


@functools.cache
def chinese_words() -> Callable[[str], list[str]]:
    """Return jieba's word splitter, without white space; raise ImportError if it is missing."""
    try:
        with warnings.catch_warnings():  # importing jieba warns about pkg_resources
            warnings.simplefilter("ignore")
            import jieba
    except ImportError as error:
        raise ImportError(MISSING) from error
    logging.getLogger("jieba").setLevel(logging.WARNING)  # it logs its loading to stderr
    return lambda text: [word for word in jieba.cut(text) if word.strip()]
