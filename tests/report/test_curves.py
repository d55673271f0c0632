"""Which curves a stage has, by the names of its metrics."""

from typing import Any

from r1trl.report.curves import POINTS, SPEED, charts_of, columns_of


def chart(charts: list[dict[str, Any]], group: str, title: str) -> dict[str, str]:
    """Return the metrics of a chart by their labels."""
    (found,) = [c for c in charts if (c["group"], c["title"]) == (group, title)]
    return {series["label"]: series["metric"] for series in found["series"]}


def test_metrics_that_belong_together_are_in_one_chart() -> None:
    names = ["step", "seconds", "reward", "rewards/a/mean", "rewards/a/std", "rewards/b c/mean"]
    names += ["rewards/words/mean", "rewards/words/right", "rewards/words/wrong"]
    names += ["completions/mean_length", "completions/max_length", "completions/mean_length/right"]
    names += ["completions/mean_length/wrong", "entropy", "kl", "loss", "step_time", SPEED]
    names += [
        "seconds/a",
        "seconds/b c",
        "seconds/a/p95",
        "seconds/a/share",
        "my/own",
        "eval/share",
    ]
    charts = charts_of(names)
    each = {"a": "rewards/a/mean", "b c": "rewards/b c/mean", "words": "rewards/words/mean"}
    assert chart(charts, "Rewards", "each") == each
    assert set(chart(charts, "Rewards", "words, of right and wrong answers")) == {"right", "wrong"}
    assert set(chart(charts, "Lengths", "mean length, right and wrong")) == {"right", "wrong"}
    assert set(chart(charts, "Lengths", "tokens of a completion")) == {"mean", "max"}
    assert chart(charts, "Where the seconds go", "seconds of a step") == {
        "a": "seconds/a",
        "b c": "seconds/b c",
    }
    assert chart(charts, "Others", "my/own") == {"my/own": "my/own"}
    shown = {series["metric"] for each in charts for series in each["series"]}
    assert set(names) - shown == {"step", "seconds", "rewards/a/std"}


def test_held_out_metrics_have_a_chart_each_with_a_series_per_benchmark_and_intervals() -> None:
    names = [f"eval/{b}/pass@1{end}" for b in ("x", "y") for end in ("", "_low", "_high")]
    (found,) = charts_of([*names, "eval/x/tokens"])[:1]
    assert found["title"] == "pass@1" and found["group"] == "Held-out evaluation"
    assert found["series"][1] == {
        "label": "y",
        "metric": "eval/y/pass@1",
        "low": "eval/y/pass@1_low",
        "high": "eval/y/pass@1_high",
    }


def test_a_long_training_is_thinned_to_means() -> None:
    rows = [{"step": i, "loss": i % 4, "note": "text"} for i in range(4 * POINTS)]
    columns = columns_of(rows)
    assert len(columns["step"]) == POINTS and set(columns["loss"]) == {1.5}
    assert columns["step"][:2] == [1.5, 5.5] and "note" not in columns


def test_what_is_no_number_is_nothing_and_other_rows_stay() -> None:
    columns = columns_of([{"step": 1, "kl": float("nan")}, {"step": 2, "kl": 0.25}, {"kl": 1}])
    assert columns == {"step": [1, 2], "kl": [None, 0.25]}


def test_tokens_per_second_are_of_the_time_between_two_rows() -> None:
    rows = [
        {"step": 1, "num_tokens": 100, "seconds": 1},
        {"step": 2, "eval/share": 0.1},
        {"step": 3, "num_tokens": 400, "seconds": 3},
        {"step": 3, "num_tokens": 300, "seconds": 4},  # an attempt began again
    ]
    assert columns_of(rows)[SPEED] == [None, None, 150, None]
