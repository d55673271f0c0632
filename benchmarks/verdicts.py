r"""Verdicts: r1trl's against math-verify's own on every pair of cases.py, and each difference.

math-verify is called as its README says, in processes of its own. For the policy `boxed` it gets
the answer that r1trl finds, in dollars; for `latex_any` the whole completion. Golds are in dollars.
`python benchmarks/verdicts.py` lists the differences and fails on one that INTENDED lacks.
"""

import multiprocessing
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from cases import Sample, pairs
from r1trl_math import accuracy
from r1trl_math.answers import final_part, last_boxed

from r1trl.rewards.pool import Failure, Pool, cores

POLICIES = ("boxed", "latex_any")
INSTANCES = 3

THOUGHT = "only what follows </think> counts; math-verify reads the thoughts too"
PROSE = "a gold in prose cannot be compared with, so r1trl abstains; math-verify says wrong"
STOP = "the full stop that ends an answer is not part of it; math-verify reads neither with it"
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

    policy: str
    sample: Sample
    r1trl: float | str | None
    math_verify: float

    @property
    def key(self) -> tuple[str, str, str]:
        """Name the pair by its policy and its entry in the table."""
        return (self.policy, *self.sample.origin)

    def __str__(self) -> str:
        reason = INTENDED.get(self.key, "UNEXPLAINED")
        return (
            f"{self.policy}: gold {self.sample.gold!r}, completion {self.sample.completion!r}: "
            f"r1trl {self.r1trl}, math-verify {self.math_verify}: {reason}"
        )


def references(sample: Sample) -> tuple[float, ...]:
    """Return math-verify's own verdicts on a pair, one for each policy."""
    from math_verify import parse, verify

    gold = parse(f"${sample.gold}$")
    answer = last_boxed(final_part(sample.completion))
    found = (None if answer is None else f"${answer}$", sample.completion)
    return tuple(float(text is not None and verify(gold, parse(text))) for text in found)


def ours(samples: Sequence[Sample], policy: str, pool: Pool) -> list[float | str | None]:
    """Return r1trl's verdicts; a failure by its kind."""
    rows = {"completion": [s.completion for s in samples], "solution": [s.gold for s in samples]}
    outcomes = accuracy.outcomes(rows, {"answer": policy}, pool)
    return [one.kind if isinstance(one, Failure) else one for one in outcomes]


def differences(samples: Sequence[Sample], processes: int) -> list[Difference]:
    """Return every difference on these pairs."""
    with multiprocessing.get_context("spawn").Pool(processes) as direct:
        theirs = direct.map(references, samples, chunksize=16)
    pool = Pool(processes, deadline=30.0)
    try:
        found = [ours(samples, policy, pool) for policy in POLICIES]
    finally:
        pool.close()
    return [
        Difference(policy, sample, mine, reference[i])
        for i, policy in enumerate(POLICIES)
        for sample, mine, reference in zip(samples, found[i], theirs, strict=True)
        if mine != reference[i]
    ]


def report(instances: int) -> dict[str, int]:
    """Compare on all pairs, print every difference and return the counts.

    `stale` counts entries of INTENDED that no longer differ.
    """
    samples = list(dict.fromkeys(pairs(instances)))
    found = differences(samples, cores())
    for difference in found:
        print(difference)
    counts = {
        "pairs": len(samples),
        "comparisons": len(samples) * len(POLICIES),
        "differences": len(found),
        "unexplained": sum(one.key not in INTENDED for one in found),
        "stale": len(set(INTENDED) - {one.key for one in found}),
    }
    print("verdicts:", ", ".join(f"{count} {name}" for name, count in counts.items()))
    return counts


if __name__ == "__main__":
    counted = report(INSTANCES)
    sys.exit(1 if counted["unexplained"] or counted["stale"] else 0)
