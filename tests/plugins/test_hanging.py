"""Answers that make math-verify hang: a batch ends with patience, the other scores are right."""

import time

import pytest
from r1trl_math.reward import accuracy

from r1trl.rewards.pool import Failure, Pool

HANGING = [
    r"7^{10^{9}}",
    r"9^{9^{9^{9}}}",
    r"(10^{7})!",
    r"\binom{10^{8}}{5\cdot 10^{7}}",
    r"\sum_{n=1}^{10^{9}} \frac{1}{n^2+1}",
    r"\prod_{n=1}^{10^{8}} (n+1)",
    "(" * 3000 + "1" + ")" * 3000 + "^{2}",
    r"\begin{pmatrix}" + r" \\ ".join([" & ".join(["x+1"] * 60)] * 60) + r"\end{pmatrix}",
    r"\int_0^{10^{6}} \sin(x^{x}) e^{x^{2}} dx",
    r"2^{2^{2^{2^{2^{2}}}}}",
]
DEADLINE = 2.0
PATIENCE = 4.0


def batch(hanging: int) -> tuple[dict[str, list[str]], list[float]]:
    """Return 32 rows of which some hang, spread over the batch, and the others' right scores."""
    completions, solutions, expected = [], [], []
    for i in range(32):
        if i % 4 == 0 and i // 4 < hanging:
            completions.append(rf"\boxed{{{HANGING[i // 4]}}}")
            solutions.append(rf"{i}\sqrt{{5}}")
            expected.append(-1.0)
        else:
            right = i % 3 != 0
            completions.append(rf"So it is \boxed{{{i + 1 - right}\sqrt{{7}}}}.")
            solutions.append(rf"\sqrt{{{7 * i * i}}}")
            expected.append(float(right))
    return {"completion": completions, "solution": solutions}, expected


@pytest.mark.slow
@pytest.mark.parametrize("hanging", [1, 8])
def test_a_batch_with_hanging_answers_ends_with_patience(hanging: int) -> None:
    pool = Pool(2, DEADLINE, PATIENCE)
    healthy, right = batch(0)
    assert accuracy.score(healthy, {}, pool) == right
    rows, expected = batch(hanging)
    began = time.monotonic()
    found = accuracy.score(rows, {}, pool)
    took = time.monotonic() - began
    for value, one in zip(found, expected, strict=True):
        assert value == one or (one == -1.0 and isinstance(value, Failure | float))
    assert took < PATIENCE + 2, "patience, and what killing and a busy machine take"
    assert accuracy.score(healthy, {}, pool) == right
    pool.close()


@pytest.mark.slow
def test_every_kind_ends_and_none_is_taken_for_right() -> None:
    pool = Pool(2, DEADLINE, PATIENCE)
    rows = {"completion": [rf"\boxed{{{answer}}}" for answer in HANGING], "solution": ["5"] * 10}
    found = accuracy.score(rows, {}, pool)
    assert all(value == 0.0 or isinstance(value, Failure) for value in found)
    pool.close()
