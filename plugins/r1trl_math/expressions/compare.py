r"""Comparison of expressions with math-verify, without its timeouts: r1trl kills a process instead.

math-verify's own timeouts raise outside the main thread and cannot interrupt arithmetic on huge
integers. It is imported when first needed, since importing it takes a second. An expression is
parsed whole or not at all: math-verify would take the last number in a text that it cannot parse.
"""

import functools
import logging
import re
from typing import Any

from r1trl_math.expressions import grammar, tolerance
from r1trl_math.expressions.values import differ
from r1trl_math.readings.notation import END, LABEL, PRIMES, WORD

TRANSPOSED = re.compile(r"\^\s*(?:\{\s*)?(?:T|\\top|\\intercal)(?![A-Za-z])\s*\}?")
SIGNS = re.compile(r"\\(pm|mp)(?![a-z])")
WORDS = re.compile(rf"{WORD}([^{END}]*){END}")


@functools.cache
def library() -> Any:
    """Import math-verify once, silence its warning about timeouts, and patch its parser."""
    import math_verify

    logging.getLogger("math_verify").setLevel(logging.ERROR)
    grammar.install()
    tolerance.install()
    return math_verify


@functools.cache
def extraction() -> list[Any]:
    """Return math-verify's settings for an expression: all of it, and no unit is cut off."""
    from latex2sympy2_extended import NormalizationConfig
    from math_verify import LatexExtractionConfig

    normalization = NormalizationConfig(
        basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="none"
    )
    return [LatexExtractionConfig(normalization_config=normalization)]


def extract(text: str) -> list[Any]:
    """Parse a text with math-verify's own extraction: expressions, and last what they came from."""
    parsed: list[Any] = library().parse(text, parsing_timeout=None)
    return parsed


def warm_up() -> None:
    """Import math-verify and compile its patterns, which together take a second."""
    verify(parse("1"), parse("x"))


@functools.lru_cache(maxsize=1024)
def parse(latex: str) -> tuple[Any, ...]:
    """Parse LaTeX in one notation; () if it is no expression. A percentage is its number."""
    marked = WORDS.sub(r"\\text{\1}", latex.removesuffix(r"\%").replace("$", ""))
    primed = PRIMES.sub(_prime, marked) if "'" in marked or "prime" in marked else marked
    primed = TRANSPOSED.sub("_{transposed}", primed)
    line = LABEL.sub(r"\\text{\g<0>}", primed)
    parsed = library().parse(f"${line}$", extraction(), parsing_timeout=None) if line else []
    if all(isinstance(part, str) for part in parsed):
        return parse(_both_signs(line)) if SIGNS.search(line) else ()
    return tuple(parsed)


def _both_signs(latex: str) -> str:
    r"""Return both values of an expression with \pm, which math-verify parses at its top only."""
    upper = SIGNS.sub(lambda match: "+" if match[1] == "pm" else "-", latex)
    lower = SIGNS.sub(lambda match: "-" if match[1] == "pm" else "+", latex)
    return f"{upper}, {lower}"


def _prime(match: re.Match[str]) -> str:
    count = len(match[1] or match[2].replace(" ", "").split("\\")[1:])
    return "_{" + "prime" * count + "}"


def verify(gold: tuple[Any, ...], answer: tuple[Any, ...]) -> bool:
    """Return True if math-verify finds a parsed answer equal to the parsed gold."""
    if not gold or not answer:
        return False
    refutable = gold[-1] != answer[-1]  # equal texts are equal answers
    if refutable and differ(gold[0], answer[0]):
        return False
    return bool(library().verify(list(gold), list(answer), timeout_seconds=None))
