"""What rollouts say of a model, checked against a table worked out by hand."""

import math
import random
from typing import Any

import pytest
from datasets import Dataset

from r1trl.generation.metrics import benchmark_metrics, sampled_metrics

# Four problems, four samples each: the answer and whether it is right.
ANSWERS = {
    0: ("7", "7", "7", "7"),  # all right
    1: ("5", "5", "3", "4"),  # the majority right, half of the samples
    2: ("9", "8", "8", None),  # the majority wrong, one sample right
    3: (None, None, None, None),  # no answer at all
}
RIGHT = {0: "7", 1: "5", 2: "9", 3: "1"}


def rollouts() -> Dataset:
    """Return the table as rollouts, shuffled."""
    rows = [
        {
            "problem": problem,
            "answer/accuracy": answer,
            "rewards/accuracy": float(answer == RIGHT[problem]),
            "rewards/format": None if answer is None else 1.0 if problem < 2 else 0.0,
            "rewards/never": None,
            "reward": 2.0 * (answer == RIGHT[problem]),
            "completion_tokens": 10 + place,
            "tokens_spent": 20 + place,
            "finished": answer is not None,
        }
        for problem, answers in ANSWERS.items()
        for place, answer in enumerate(answers)
    ]
    return Dataset.from_list(rows)


def test_the_measures_of_a_benchmark_are_those_of_the_table() -> None:
    found = benchmark_metrics(rollouts(), {"correct": "accuracy", "format": "format"})
    means = [1.0, 0.5, 0.25, 0.0]
    mean = 1.75 / 4
    deviation = math.sqrt(sum((m - mean) ** 2 for m in means) / 3)
    half = 1.959964 * deviation / 2
    assert found == pytest.approx(
        {
            "pass@1": mean,
            "pass@1_low": max(0.0, mean - half),
            "pass@1_high": mean + half,
            "pass@k": 0.75,
            "cons@k": 0.5,
            "format": 8 / 11,
            "tokens": 11.5,
            "tokens_spent": 21.5,
            "truncated": 5 / 16,
        }
    )


def test_without_votes_there_is_no_majority() -> None:
    rows = rollouts().remove_columns("answer/accuracy")
    assert "cons@k" not in benchmark_metrics(rows, {"correct": "accuracy"})


def test_a_measure_that_no_sample_has_is_left_out() -> None:
    found = benchmark_metrics(rollouts(), {"correct": "accuracy", "never": "never"})
    assert "never" not in found


def test_the_order_of_the_samples_changes_nothing_but_ties() -> None:
    measures = {"correct": "accuracy", "format": "format"}
    shuffled = rollouts().shuffle(seed=1)
    assert benchmark_metrics(shuffled, measures) == pytest.approx(
        benchmark_metrics(rollouts(), measures)
    )


def table(groups: list[list[bool]]) -> Dataset:
    """Return rollouts of problems whose samples are right or not."""
    rows: list[dict[str, Any]] = [
        {"problem": i, "rewards/accuracy": float(r), "completion_tokens": 1, "tokens_spent": 1}
        | {"finished": True}
        for i, group in enumerate(groups)
        for r in group
    ]
    return Dataset.from_list(rows)


@pytest.mark.parametrize(("right", "expected"), [(True, 1.0), (False, 0.0)])
def test_the_interval_of_a_single_problem_and_of_equal_problems_has_no_width(
    right: bool, expected: float
) -> None:
    for count in (1, 5):
        found = benchmark_metrics(table([[right] * 2] * count), {"correct": "accuracy"})
        assert found["pass@1_low"] == found["pass@1"] == found["pass@1_high"] == expected


def test_the_interval_stays_within_0_and_1() -> None:
    found = benchmark_metrics(table([[True], [False]]), {"correct": "accuracy"})
    assert (found["pass@1_low"], found["pass@1"], found["pass@1_high"]) == (0.0, 0.5, 1.0)


def test_the_interval_holds_the_true_rate_about_95_times_in_100() -> None:
    source, held = random.Random(0), 0
    for _ in range(200):
        right = [float(source.random() < 0.4) for _ in range(200)]
        rows = {
            "problem": [i // 2 for i in range(200)],
            "rewards/accuracy": right,
            "completion_tokens": [1] * 200,
            "tokens_spent": [1] * 200,
            "finished": [True] * 200,
        }
        found = benchmark_metrics(Dataset.from_dict(rows), {"correct": "accuracy"})
        held += found["pass@1_low"] <= 0.4 <= found["pass@1_high"]
    assert 180 <= held <= 199


def test_a_failed_sample_counts_as_not_right() -> None:
    rows = table([[True, True]]).remove_columns("rewards/accuracy")
    rows = rows.add_column("rewards/accuracy", [1.0, None])
    found = benchmark_metrics(rows, {"correct": "accuracy"})
    assert (found["pass@1"], found["pass@k"]) == (0.5, 1.0)


def test_samples_are_measured_by_the_mean_of_every_reward() -> None:
    assert sampled_metrics(rollouts()) == pytest.approx(
        {
            "rewards/accuracy": 7 / 16,
            "rewards/format": 8 / 11,
            "reward": 14 / 16,
            "tokens": 11.5,
            "tokens_spent": 21.5,
            "truncated": 5 / 16,
        }
    )
