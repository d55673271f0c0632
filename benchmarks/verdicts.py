r"""Verdicts: r1trl's against math-verify's own on every pair of cases.py, and each difference.

math-verify is called as in its README, in processes of its own. For the answer source `boxed` it
gets the answer that r1trl extracts, in dollars; for `latex_any` the whole completion. Golds are in
dollars. `python benchmarks/verdicts.py` lists the differences and fails on one that has no reason:
in INTENDED, or in labelled.toml, whose verdicts must be r1trl's. `… verdicts.py 1` draws each pair
with numbers once, in place of three times.
"""

import multiprocessing
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from cases import Sample, labelled, pairs
from r1trl_math import accuracy
from r1trl_math.answers import last_boxed

from r1trl import final_part
from r1trl.rewards.pool import Failure, Pool, cores

SOURCES = ("boxed", "latex_any")
INSTANCES = 3

THOUGHT = "only the text after </think> counts; math-verify reads the thinking too"
PROSE = "a gold in prose cannot be compared, so r1trl abstains; math-verify returns 0"
ENDS = "a full stop, comma or line break after an answer is not part of it"
NUMBER = "the same number in another writing, which math-verify takes for a product or not at all"
PERCENT = "a percentage equals its number and its fraction"
DOTS = "dots make it another number"
BOUND = "a relation is not the number in it"
SIZE = "the values differ by half of their size; math-verify rounds to six places"
LETTER = "a letter at the end is a variable; math-verify takes c for a unit"
WHOLE = (
    "LaTeX that cannot be parsed whole has no verdict; math-verify compares the last number in it"
)
SENTENCE = "the number in the sentence is the answer"
ODD = "Any odd number is a possible value of n"
CASES = r"\begin{cases}x&x>0\\-x&x\le 0\end{cases}"

BOTH = {  # for both sources
    ("42", "42e0"): NUMBER,
    ("42", "0x2a"): NUMBER,
    (r"\frac{1}{3}", r"0.\overline{3}"): NUMBER,
    (r"\frac{1}{3}", "0.333..."): NUMBER,
    ("1000", r"1\,000"): NUMBER,
    ("1000", "1 000"): NUMBER,
    ("1000", "1e3"): NUMBER,
    ("-7", r"\text{-}7"): NUMBER,
    ("12345678901", r"1.2345678901\times 10^{10}"): NUMBER,
    (r"3.0\times 10^8", "3e8"): NUMBER,
    ("0.5", r"50\%"): PERCENT,
    (r"5\%", "0.05"): PERCENT,
    (r"5\%", r"\frac{5}{100}"): PERCENT,
    (r"5\%", r"\frac{1}{20}"): PERCENT,
    ("42", r"\ge 42"): BOUND,
    ("2^{-60}", "2^{-61}"): SIZE,
    ("A", "A."): ENDS,
    (CASES, "|x|"): WHOLE,
    (CASES, "x"): WHOLE,
    (CASES, CASES): WHOLE,
    (ODD, r"\boxed{7}"): PROSE,
    (ODD, r"\boxed{\text{odd}}"): PROSE,
}
INTENDED = {(source, *pair): reason for pair, reason in BOTH.items() for source in SOURCES} | {
    ("boxed", r"\frac{1}{3}", r"\frac{1}{3}."): ENDS,
    ("boxed", "42", r"42\ldots"): DOTS,
    ("boxed", "a^2-b^2", "a^2 - b^2 - c + c"): LETTER,
    ("boxed", "abc", r"a\cdot b\cdot c"): LETTER,
    ("latex_any", "42", "42."): ENDS,
    ("latex_any", "42", "42,"): ENDS,
    ("latex_any", "42", "42\\\\"): ENDS,
    ("latex_any", "42", r"42\%"): PERCENT,
    ("latex_any", r"<a>\%", r"<a> \%"): PERCENT,
    ("latex_any", r"<a>^\circ", r"<a>\degree"): NUMBER,
    ("latex_any", "42", r"\boxed{The answer is 42}"): SENTENCE,
    ("latex_any", "42", r"\boxed{\text{The answer is } 42}"): SENTENCE,
    ("latex_any", "42", "\\boxed{so $42$}"): SENTENCE,
    ("latex_any", "42", "<think>The answer is $42$.</think> I do not know."): THOUGHT,
    ("latex_any", "42", r"<think>The answer is $\boxed{42}$.</think>"): THOUGHT,
}


@dataclass(frozen=True)
class Difference:
    """A pair on which r1trl and math-verify disagree, with both verdicts."""

    source: str
    sample: Sample
    r1trl: float | str | None
    math_verify: float
    reason: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """Return the pair's key in INTENDED: the source, and its entry in the table."""
        return (self.source, *self.sample.origin)

    def __str__(self) -> str:
        reason = self.reason or INTENDED.get(self.key, "UNEXPLAINED")
        return (
            f"{self.source}: gold {self.sample.gold!r}, completion {self.sample.completion!r}: "
            f"r1trl {self.r1trl}, math-verify {self.math_verify}: {reason}"
        )


def math_verify_verdicts(sample: Sample) -> tuple[float, ...]:
    """Return math-verify's own verdicts on a pair, one per source."""
    from math_verify import parse, verify

    gold = parse(f"${sample.gold}$")
    answer = last_boxed(final_part(sample.completion) or "")
    texts = (None if answer is None else f"${answer}$", sample.completion)
    return tuple(float(text is not None and verify(gold, parse(text))) for text in texts)


def ours(samples: Sequence[Sample], source: str, pool: Pool) -> list[float | str | None]:
    """Return r1trl's verdicts; a failure by its kind."""
    rows = {"completion": [s.completion for s in samples], "solution": [s.gold for s in samples]}
    scores = accuracy.score(rows, {"answer": source}, pool)
    return [score.kind if isinstance(score, Failure) else score for score in scores]


def differences(samples: Sequence[Sample], processes: int) -> list[Difference]:
    """Return every difference on these pairs, and on those of labelled.toml.

    A labelled pair on which r1trl's verdict is not the label has no reason.
    """
    rows = list(labelled())
    every = [*samples, *(sample for sample, _, _ in rows)]
    with multiprocessing.get_context("spawn").Pool(processes) as direct:
        theirs = direct.map(math_verify_verdicts, every, chunksize=16)
    pool = Pool(processes, deadline=30.0)
    try:
        verdicts = [ours(every, source, pool) for source in SOURCES]
    finally:
        pool.close()
    found = [
        Difference(source, sample, mine, reference[i])
        for i, source in enumerate(SOURCES)
        for sample, mine, reference in zip(samples, verdicts[i], theirs, strict=False)
        if mine != reference[i]
    ]
    start = len(samples)
    for (sample, label, why), mine, reference in zip(
        rows, verdicts[0][start:], theirs[start:], strict=True
    ):
        if mine != label or mine != reference[0]:
            reason = why if mine == label else ""
            found.append(Difference("boxed", sample, mine, reference[0], reason))
    return found


def report(instances: int) -> dict[str, int]:
    """Compare on all pairs, print every difference and return the counts.

    `stale` counts entries of INTENDED that no longer differ.
    """
    samples = list(dict.fromkeys(pairs(instances)))
    differing = differences(samples, cores())
    for difference in differing:
        print(difference)
    counts = {
        "pairs": len(samples),
        "comparisons": len(samples) * len(SOURCES),
        "differences": len(differing),
        "labelled": sum(1 for _ in labelled()),
        "unexplained": sum(not d.reason and d.key not in INTENDED for d in differing),
        "stale": len(set(INTENDED) - {d.key for d in differing}),
    }
    print("verdicts:", ", ".join(f"{count} {name}" for name, count in counts.items()))
    return counts


if __name__ == "__main__":
    counted = report(int(sys.argv[1]) if sys.argv[1:] else INSTANCES)
    sys.exit(1 if counted["unexplained"] or counted["stale"] else 0)
