r"""Verdicts: r1trl's against math-verify's own on every pair of cases.py, and each difference.

math-verify is called as in its README, in processes of its own. For the answer source `boxed` it
gets the answer that r1trl extracts, in dollars; for `latex_any` the whole completion. Golds are in
dollars. `python benchmarks/verdicts.py` lists the differences and fails on one not in INTENDED;
`… verdicts.py 1` draws each pair with numbers once, in place of three times.
"""

import multiprocessing
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from cases import Sample, pairs
from r1trl_math import accuracy
from r1trl_math.answers import last_boxed

from r1trl import final_part
from r1trl.rewards.pool import Failure, Pool, cores

SOURCES = ("boxed", "latex_any")
INSTANCES = 3

THOUGHT = "only the text after </think> counts; math-verify reads the thinking too"
PROSE = "a gold in prose cannot be compared, so r1trl abstains; math-verify returns 0"
STOP = "the full stop after an answer is not part of it; math-verify parses neither with it"
ODD = "Any odd number is a possible value of n"

INTENDED = {
    ("boxed", r"\frac{1}{3}", r"\frac{1}{3}."): STOP,
    ("boxed", "A", "A."): STOP,
    ("boxed", ODD, r"\boxed{7}"): PROSE,
    ("boxed", ODD, r"\boxed{\text{odd}}"): PROSE,
    ("latex_any", ODD, r"\boxed{7}"): PROSE,
    ("latex_any", ODD, r"\boxed{\text{odd}}"): PROSE,
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

    @property
    def key(self) -> tuple[str, str, str]:
        """Return the pair's key in INTENDED: the source, and its entry in the table."""
        return (self.source, *self.sample.origin)

    def __str__(self) -> str:
        reason = INTENDED.get(self.key, "UNEXPLAINED")
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
    """Return every difference on these pairs."""
    with multiprocessing.get_context("spawn").Pool(processes) as direct:
        theirs = direct.map(math_verify_verdicts, samples, chunksize=16)
    pool = Pool(processes, deadline=30.0)
    try:
        verdicts = [ours(samples, source, pool) for source in SOURCES]
    finally:
        pool.close()
    return [
        Difference(source, sample, mine, reference[i])
        for i, source in enumerate(SOURCES)
        for sample, mine, reference in zip(samples, verdicts[i], theirs, strict=True)
        if mine != reference[i]
    ]


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
        "unexplained": sum(d.key not in INTENDED for d in differing),
        "stale": len(set(INTENDED) - {d.key for d in differing}),
    }
    print("verdicts:", ", ".join(f"{count} {name}" for name, count in counts.items()))
    return counts


if __name__ == "__main__":
    counted = report(int(sys.argv[1]) if sys.argv[1:] else INSTANCES)
    sys.exit(1 if counted["unexplained"] or counted["stale"] else 0)
