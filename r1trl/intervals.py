"""How sure a mean over questions is."""

from collections.abc import Sequence
from typing import Any

RESAMPLES = 2000


def bootstrap_interval(values: "Sequence[float] | Any", seed: int = 0) -> tuple[float, float]:
    """Return the 95 % interval of the mean of values, one a question, by the percentile bootstrap.

    Questions are drawn again with replacement (Efron & Tibshirani, An Introduction to the
    Bootstrap, 1993). Values that are differences of two models, or prompts, on the same questions
    make it a paired one: how hard a question is cancels out. The same values and seed give the same
    interval. Raises ValueError if there are no values.
    """
    import numpy as np

    array, rng = np.asarray(values, dtype=np.float64), np.random.default_rng(seed)
    if not len(array):
        raise ValueError("there are no values, and so no mean")
    means = [array[rng.integers(len(array), size=len(array))].mean() for _ in range(RESAMPLES)]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
