r"""Comparison of answers with math-verify, without its timeouts: r1trl kills a process instead.

math-verify's own timeouts raise outside the main thread and cannot interrupt arithmetic on huge
integers. It is imported when first needed, since importing it takes a second.
"""

import functools
import logging
import re
from typing import Any

from r1trl_math import grammar
from r1trl_math.answers import last_boxed
from r1trl_math.values import differ

DELIMITER = re.compile(r"(?<!\\)\$|\\\(|\\\[")
PROSE = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}\s+[A-Za-z]{2,}")
SENTENCE = re.compile(r"(?<![\\A-Za-z])[A-Za-z]+(?:\s+[A-Za-z]+){3}")
DIGITS = re.compile(r"\d+")


@functools.cache
def library() -> Any:
    """Import math-verify once, silence its warning about timeouts, and patch its parser."""
    import math_verify

    logging.getLogger("math_verify").setLevel(logging.ERROR)
    grammar.install()
    return math_verify


def parse(text: str) -> list[Any]:
    """Parse with math-verify's own extraction: expressions, and last the text they came from."""
    parsed: list[Any] = library().parse(text, parsing_timeout=None)
    return parsed


def warm_up() -> None:
    """Import math-verify and compile its patterns, which together take a second."""
    verify(tuple(parse("$1$")), parse("$x$"))


def parse_answer(text: str) -> list[Any]:
    """Parse an extracted answer: a bare one as LaTeX, a sentence with math-verify's extraction."""
    line = text.strip().removesuffix(".").replace("\n", " ").strip()
    if DELIMITER.search(line) or (PROSE.search(line) and DIGITS.search(line)):
        return parse(line)
    return parse(f"${line}$") if line else []


@functools.lru_cache(maxsize=1024)
def parse_gold(text: str) -> tuple[Any, ...]:
    r"""Parse a gold answer: a number, LaTeX, or a solution with a \boxed{}; () if it has no answer.

    A sentence without a box, dollars or exactly one number has no answer to rely on.
    """
    boxed = last_boxed(text)
    bare_sentence = boxed is None and not DELIMITER.search(text) and SENTENCE.search(text)
    if bare_sentence and len(DIGITS.findall(text)) != 1:
        return ()
    parsed = parse_answer(text if boxed is None else boxed)
    return tuple(parsed) if any(not isinstance(part, str) for part in parsed) else ()


def verify(gold: tuple[Any, ...], answer: list[Any]) -> bool:
    """Return True if math-verify finds a parsed answer equal to the parsed gold."""
    refutable = gold and answer and gold[-1] != answer[-1]  # equal texts are equal answers
    if refutable and differ(gold[0], answer[0]):
        return False
    return bool(library().verify(list(gold), answer, timeout_seconds=None))
