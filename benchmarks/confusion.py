"""The verdicts on rows in the shapes of five data sets: right answers paid and missed, wrong ones.

Every row has right and wrong answers in at least six surface forms; `verdict_rows` makes them.
Prints the table of README.md, and every verdict that is not the label; exits with 1 if there is
one.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator

from r1trl_code import code
from r1trl_math import accuracy
from verdict_rows.answers import Case, gpqa, gsm8k, math
from verdict_rows.code import contest, leetcode

from r1trl.rewards.pool import Failure, Pool, cores
from r1trl.rewards.verifier import Verifier

SHAPES: dict[str, tuple[Callable[[], Iterator[Case]], Verifier, dict[str, str]]] = {
    "GSM8K": (gsm8k, accuracy, {"answer": "tag_or_box"}),
    "MATH": (math, accuracy, {"answer": "tag_or_box"}),
    "GPQA": (gpqa, accuracy, {"answer": "choice"}),
    "LeetCode": (leetcode, code, {"score": "all"}),
    "contest": (contest, code, {"score": "all"}),
}


def verdicts(name: str, pool: Pool) -> Iterator[tuple[Case, float | None]]:
    """Yield the cases of a shape with their verdicts; None if there is none."""
    make, reward, options = SHAPES[name]
    cases = list(make())
    columns = {key: [case[2][key] for case in cases] for key in cases[0][2]}
    values = reward.score({"completion": [c[1] for c in cases], **columns}, options, pool)
    found = [None if isinstance(value, Failure) else value for value in values]
    yield from zip(cases, found, strict=True)


def main(names: list[str]) -> int:
    """Print the table and what is wrong; return how many verdicts are."""
    pool, wrong = Pool(cores(), deadline=30.0), 0
    print("| shape | rows | forms | right: paid | missed | wrong: refused | paid | no verdict |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for name in names:
        scored = list(verdicts(name, pool))
        counts = Counter((case[3], value) for case, value in scored)
        rows = len({repr(case[2]) for case, _ in scored})
        forms = len({case[0] for case, _ in scored})
        none = counts[True, None] + counts[False, None]
        print(
            f"| {name} | {rows} | {forms} | {counts[True, 1.0]} | {counts[True, 0.0]} "
            f"| {counts[False, 0.0]} | {counts[False, 1.0]} | {none} |"
        )
        for (form, completion, columns, right), value in scored:
            if value != float(right):
                wrong += 1
                print(f"{name}, {form}: {value} for {completion!r} with {columns}", file=sys.stderr)
    pool.close()
    return wrong


if __name__ == "__main__":
    sys.exit(bool(main(sys.argv[1:] or list(SHAPES))))
