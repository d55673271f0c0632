"""A source of rows that are made when they are needed."""

import random
from typing import Any

import r1trl


def newname(*, count: int = 256, seed: int = 0) -> Any:
    """Return `count` sums, drawn by `seed`, as a Dataset: prompt, solution, language."""
    from datasets import Dataset

    rng = random.Random(seed)
    pairs = [(rng.randint(1, 9), rng.randint(1, 9)) for _ in range(count)]
    rows = [{"prompt": f"{a} plus {b}", "solution": str(a + b), "language": "en"} for a, b in pairs]
    return Dataset.from_list(rows)


@r1trl.hookimpl
def r1trl_datasets() -> dict[str, Any]:
    """Offer `newname`."""
    return {"newname": newname}
