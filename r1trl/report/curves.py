"""Which curves a training stage has, and their points, from the names of its metrics alone.

The names are TRL's and r1trl's: `rewards/<name>/mean`, `eval/<benchmark>/<metric>` and so on. A
metric that no rule groups has a chart of its own, so none is hidden.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

POINTS = 1000  # of a curve
SPEED = "tokens per second"
WHOLE = re.compile(r"step|seconds|epoch|train_.*|total_flos|eval/.*_(low|high)|.*/std|reward_std")
# What stands in one chart: its group, its title, and how the series is called; in this order.
RULES: Sequence[tuple[str, str, str, str]] = (
    (r"eval/(.+)/([^/]+)", "Held-out evaluation", r"\2", r"\1"),
    (r"reward", "Rewards", "all, weighted", "all"),
    (r"rewards/(.+)/mean", "Rewards", "each", r"\1"),
    (r"rewards/(.+)/(right|wrong)", "Rewards", r"\1, of right and wrong answers", r"\2"),
    (r"completions/mean_length/(right|wrong)", "Lengths", "mean length, right and wrong", r"\1"),
    (r"completions/(mean|min|max)_length", "Lengths", "tokens of a completion", r"\1"),
    (r"completions/clipped_ratio", "Lengths", "cut off at the longest length", "share"),
    (r"completions/(\w+)_terminated_length", "Lengths", "tokens of a finished one", r"\1"),
    (r"(entropy|kl)", "Entropy and KL", r"\1", r"\1"),
    (r"(loss|mean_token_accuracy|accuracy)", "Loss", r"\1", r"\1"),
    (rf"{SPEED}", "Throughput", SPEED, SPEED),
    (r"step_time", "Throughput", "seconds of a step", "step"),
    (r"seconds/([^/]+)", "Where the seconds go", "seconds of a step", r"\1"),
    (r"seconds/(.+)/share", "Where the seconds go", "share of a step", r"\1"),
    (r"eval/(seconds|share)", "Where the seconds go", r"held-out evaluation, \1", r"\1"),
    (r"seconds/(.+)/(max|p50|p95)", "Where the seconds go", r"\1, of a sample", r"\2"),
)
OTHERS = "Others"


def charts_of(names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the charts of a stage by the names of its metrics: group, title, series.

    A series has a label, the name of its metric, and those of its interval's ends if it has some.
    """
    charts = dict[tuple[str, str], dict[str, Any]]()
    for place, name in sorted((_place(name), name) for name in names):
        if WHOLE.fullmatch(name):
            continue
        group, title, label = _chart(place, name)
        chart = charts.setdefault((group, title), {"group": group, "title": title, "series": []})
        series = {"label": label, "metric": name}
        if {f"{name}_low", f"{name}_high"} <= set(names):
            series |= {"low": f"{name}_low", "high": f"{name}_high"}
        chart["series"].append(series)
    return list(charts.values())


def _place(name: str) -> int:
    """Return the number of the first rule for a metric; that after the last if there is none."""
    found = (number for number, rule in enumerate(RULES) if re.fullmatch(rule[0], name))
    return next(found, len(RULES))


def _chart(place: int, name: str) -> tuple[str, str, str]:
    """Return the group, the title and the label of a metric by the rule at a place."""
    if place == len(RULES):
        return OTHERS, name, name
    pattern, group, title, label = RULES[place]
    match = re.fullmatch(pattern, name)
    assert match
    return group, match.expand(title), match.expand(label)


def columns_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[float | None]]:
    """Return the numbers of logged rows by metric, at most POINTS of each: means of equal parts."""
    logged = [row for row in rows if isinstance(row.get("step"), int | float)]
    parts = [_mean(part) for part in _parts(logged)]
    _add_speed(parts)
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: [part.get(name) for part in parts] for name in names}


def _parts(rows: Sequence[Mapping[str, Any]]) -> Iterator[Sequence[Mapping[str, Any]]]:
    """Yield rows one by one, or so many together that there are POINTS parts."""
    size = together(rows)
    yield from (rows[start : start + size] for start in range(0, len(rows), size))


def together(rows: Sequence[Mapping[str, Any]]) -> int:
    """Return how many logged rows are a point of a curve together."""
    return -(-len(rows) // POINTS) or 1


def _mean(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the mean of each metric over the rows that have it, to six digits."""
    values = dict[str, list[float]]()
    for row in rows:
        for name, value in row.items():
            if isinstance(value, int | float) and abs(value) < float("inf"):
                values.setdefault(name, []).append(value)
    return {name: float(f"{sum(each) / len(each):.6g}") for name, each in values.items()}


def _add_speed(rows: Sequence[dict[str, float]]) -> None:
    """Add the tokens per second between two rows that say how many there were, and when."""
    timed = [row for row in rows if "num_tokens" in row and "seconds" in row]
    for before, row in pairwise(timed):
        tokens, seconds = (row[n] - before[n] for n in ("num_tokens", "seconds"))
        if tokens > 0 and seconds > 0:  # neither is so where an attempt begins again
            row[SPEED] = float(f"{tokens / seconds:.6g}")
