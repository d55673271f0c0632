"""Which completions of a stage its report has: all of them would be too many.

Of each outcome of each model there are about as many, and the same problems of all models, so that
one can be followed along the chain. Nothing is left to chance.
"""

import zlib
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from r1trl.types import OUTCOMES

VERDICTS = {True: "right", False: "wrong", None: "no verdict"}
Columns = Mapping[str, list[Any]]


def choose(
    strata: Sequence[Hashable], chains: Sequence[int], order: Sequence[int], bound: int
) -> list[int]:
    """Return the numbers of at most `bound` rows, in the order of rows.

    At most half of them are `chains`, as many as fit; the others are of all strata as equally as
    can be, and within one of them in a given order.
    """
    first = list(chains[: bound // 2])
    taken, ranks = set(first), list[tuple[int, int, int]]()
    seen = Counter(strata[i] for i in first)
    for place, i in enumerate(order):
        if i not in taken:
            ranks.append((seen[strata[i]], place, i))
            seen[strata[i]] += 1
    others = [i for *_, i in sorted(ranks)[: bound - len(first)]]
    return sorted([*first, *others])


def strata(columns: Columns, outcomes: Sequence[list[Any]]) -> list[tuple[str, str, str, str]]:
    """Return model, benchmark, worst outcome of a reward, and verdict of each row."""
    count = len(columns["right"])
    worst = [max(map(_badness, each)) for each in zip(*outcomes, strict=True)] or [0] * count
    nothing = [""] * count
    rows = zip(
        columns.get("model", nothing),
        columns.get("benchmark", nothing),
        worst,
        columns["right"],
        strict=True,
    )
    return [(str(m or ""), str(b or ""), OUTCOMES[bad], VERDICTS[v]) for m, b, bad, v in rows]


def _badness(outcome: object) -> int:
    return OUTCOMES.index(outcome) if isinstance(outcome, str) and outcome in OUTCOMES else 0


def mixed(columns: Columns) -> list[int]:
    """Return the numbers of all rows, mixed, those of a problem beside each other."""
    count = len(columns["right"])
    benchmarks = columns.get("benchmark", [""] * count)
    problems = columns.get("problem", [None] * count)
    names = [
        f"row {i}" if problem is None else f"{benchmark}/{problem}"
        for i, (benchmark, problem) in enumerate(zip(benchmarks, problems, strict=True))
    ]
    return sorted(range(count), key=lambda i: (zlib.crc32(names[i].encode()), names[i], i))


def chains(columns: Columns, order: Sequence[int]) -> list[int]:
    """Return the first row of each problem of each model, problem by problem, if there are models.

    Of a question that is asked in several forms that is one in the first form.
    """
    if len(set(columns.get("model", ()))) < 2 or "problem" not in columns:
        return []
    keys = zip(columns["benchmark"], columns["problem"], columns["model"], strict=True)
    first = dict[tuple[Any, ...], int]()
    for i, key in enumerate(keys):
        first.setdefault(key, i)
    rows = set(first.values())
    return [i for i in order if i in rows]
