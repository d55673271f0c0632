"""The metrics of rollouts, compared with values computed by hand."""

import math
import random
from typing import Any

import pytest
from datasets import Dataset

from r1trl.errors import StageError
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
            "outcome/accuracy": "value",
            "rewards/format": None if answer is None else 1.0 if problem < 2 else 0.0,
            "rewards/never": None,
            "reward": 2.0 * (answer == RIGHT[problem]),
            "completion_tokens": 10 + sample,
            "tokens_spent": 20 + sample,
            "finished": answer is not None,
        }
        for problem, answers in ANSWERS.items()
        for sample, answer in enumerate(answers)
    ]
    return Dataset.from_list(rows)


def test_the_metrics_of_a_benchmark_are_those_of_the_table() -> None:
    metrics = benchmark_metrics(rollouts(), {"correct": "accuracy", "format": "format"})
    means = [1.0, 0.5, 0.25, 0.0]
    mean = 1.75 / 4
    deviation = math.sqrt(sum((m - mean) ** 2 for m in means) / 3)
    half = 1.959964 * deviation / 2
    assert metrics == pytest.approx(
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


def test_without_extracted_answers_there_is_no_cons_at_k() -> None:
    rows = rollouts().remove_columns("answer/accuracy")
    assert "cons@k" not in benchmark_metrics(rows, {"correct": "accuracy"})


def test_a_metric_without_values_is_left_out() -> None:
    metrics = benchmark_metrics(rollouts(), {"correct": "accuracy", "never": "never"})
    assert "never" not in metrics


def test_the_order_of_the_samples_only_decides_ties() -> None:
    names = {"correct": "accuracy", "format": "format"}
    shuffled = rollouts().shuffle(seed=1)
    assert benchmark_metrics(shuffled, names) == pytest.approx(benchmark_metrics(rollouts(), names))


def table(groups: list[list[bool]]) -> Dataset:
    """Return rollouts with a group of samples per problem, each right or wrong."""
    rows: list[dict[str, Any]] = [
        {"problem": i, "rewards/accuracy": float(r), "completion_tokens": 1, "tokens_spent": 1}
        | {"finished": True, "outcome/accuracy": "value"}
        for i, group in enumerate(groups)
        for r in group
    ]
    return Dataset.from_list(rows)


@pytest.mark.parametrize(("right", "expected"), [(True, 1.0), (False, 0.0)])
def test_the_interval_of_a_single_problem_and_of_equal_problems_has_no_width(
    right: bool, expected: float
) -> None:
    for count in (1, 5):
        metrics = benchmark_metrics(table([[right] * 2] * count), {"correct": "accuracy"})
        assert metrics["pass@1_low"] == metrics["pass@1"] == metrics["pass@1_high"] == expected


def test_the_interval_stays_within_0_and_1() -> None:
    metrics = benchmark_metrics(table([[True], [False]]), {"correct": "accuracy"})
    assert (metrics["pass@1_low"], metrics["pass@1"], metrics["pass@1_high"]) == (0.0, 0.5, 1.0)


def test_the_interval_covers_the_true_rate_about_95_times_in_100() -> None:
    rng, covered = random.Random(0), 0
    for _ in range(200):
        right = [float(rng.random() < 0.4) for _ in range(200)]
        rows = {
            "problem": [i // 2 for i in range(200)],
            "rewards/accuracy": right,
            "completion_tokens": [1] * 200,
            "tokens_spent": [1] * 200,
            "finished": [True] * 200,
            "outcome/accuracy": ["value"] * 200,
        }
        metrics = benchmark_metrics(Dataset.from_dict(rows), {"correct": "accuracy"})
        covered += metrics["pass@1_low"] <= 0.4 <= metrics["pass@1_high"]
    assert 180 <= covered <= 199


def test_sampled_metrics_are_the_means_of_every_reward() -> None:
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


def outcomes(values: list[list[float | str | None]]) -> Dataset:
    """Return rollouts with a value per sample, or the outcome of one without."""
    rows = [
        {
            "problem": problem,
            "answer/accuracy": str(value),
            "solution": "#### 5",
            "rewards/accuracy": None if isinstance(value, str) else value,
            "outcome/accuracy": value if isinstance(value, str) else "value",
            "completion_tokens": 1,
            "tokens_spent": 1,
            "finished": True,
        }
        for problem, group in enumerate(values)
        for value in group
    ]
    return Dataset.from_list(rows)


def test_problems_without_a_gold_do_not_count_and_are_counted_apart() -> None:
    rows = outcomes([[1.0, 1.0]] * 97 + [["abstain", "abstain"]] * 3)
    metrics = benchmark_metrics(rows, {"correct": "accuracy"})
    assert metrics["pass@1"] == metrics["pass@k"] == metrics["cons@k"] == 1.0
    assert metrics["abstained"] == pytest.approx(0.03)
    assert "no_verdict" not in metrics


def test_samples_without_a_verdict_are_no_wrong_answers_and_are_counted_apart() -> None:
    rows = outcomes([[1.0, "timeout"], [0.0, 1.0], ["error", "timeout"], ["abstain", "abstain"]])
    metrics = benchmark_metrics(rows, {"correct": "accuracy"})
    assert metrics["pass@1"] == pytest.approx(0.75)
    assert metrics["abstained"] == pytest.approx(0.25)
    assert metrics["no_verdict"] == pytest.approx(0.5)


def test_a_benchmark_without_any_verdict_is_an_error_that_names_the_mend() -> None:
    with pytest.raises(StageError, match=r"no verdict on any completion of the 4 problems.*####"):
        benchmark_metrics(outcomes([["abstain"]] * 4), {"correct": "accuracy"})


def test_failures_that_count_as_wrong_are_counted_apart_too() -> None:
    rows = outcomes([[1.0, "timeout"]] * 3).to_list()
    zeroed = [{**row, "rewards/accuracy": row["rewards/accuracy"] or 0.0} for row in rows]
    metrics = benchmark_metrics(Dataset.from_list(zeroed), {"correct": "accuracy"})
    assert metrics["pass@1"] == metrics["no_verdict"] == pytest.approx(0.5)
