"""Models of an `evaluate` stage against one of them: on the same problems, with intervals.

A model's value on a problem is the mean of a reward over its samples of that problem; what it has
gained is the mean difference over the problems on which both models have a value. The interval is
that of a paired bootstrap over problems (`r1trl.bootstrap_interval`).
"""

import difflib
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from r1trl import StageResult, bootstrap_interval

Values = Mapping[int, float]  # of a model on a benchmark, by the number of the problem


@dataclass(frozen=True)
class Gain:
    """The mean difference between two models on a benchmark, with its 95 % interval."""

    mean: float
    low: float
    high: float
    problems: int


def gains(
    result: StageResult, *, reward: str, than: str | None = None, seed: int = 0
) -> StageResult:
    """Add what each model has gained on each benchmark, with a 95 % interval, to the metrics.

    `<model>/<benchmark>/gain`, `gain_low` and `gain_high` are differences of the mean of `reward`
    from the model `than`; None: from the first one. The report's scoreboard shows them. A pair
    without a common problem has none. Raises ValueError if the stage has no such model or reward.
    """
    values = problem_values(result, reward)
    reference = than or next(iter(values))
    _require_models(values, [reference])
    metrics = {}
    for model, benchmark, gain in _against(values, reference, None, seed):
        name = f"{model}/{benchmark}/gain"
        metrics |= {name: gain.mean, f"{name}_low": gain.low, f"{name}_high": gain.high}
    return replace(result, metrics={**result.metrics, **metrics})


def no_regression(
    result: StageResult,
    *,
    reward: str,
    model: str | None = None,
    than: str | None = None,
    benchmarks: list[str] | None = None,
    margin: float = 0.0,
    on_regression: Literal["end", "fail"] = "end",
    seed: int = 0,
) -> StageResult:
    """End the run, or fail the stage, if a model has lost more than `margin` on a benchmark.

    It has if the mean of `reward` is lower than that of the model `than` by more than `margin`, and
    the 95 % interval of the difference is below 0, so that it is no chance. `model` None: each of
    the others; `than` None: the first; `benchmarks` None: all. Raises ValueError if the stage has
    no such model, benchmark or reward, if there is nothing to compare, or on a regression with
    `on_regression: fail`.
    """
    values = problem_values(result, reward)
    reference = than or next(iter(values))
    _require_models(values, [name for name in (reference, model) if name is not None])
    known = dict.fromkeys(benchmark for by in values.values() for benchmark in by)
    for benchmark in benchmarks or ():
        if benchmark not in known:
            raise ValueError(f"benchmarks: {_unknown('benchmark', benchmark, known)}")
    compared = [
        (name, benchmark, gain)
        for name, benchmark, gain in _against(values, reference, benchmarks, seed)
        if model in (None, name)
    ]
    if not compared:
        raise ValueError(f"no model of the stage has problems in common with '{reference}'")
    lost = [_told(*each, reference) for each in compared if has_lost(each[2], margin)]
    if lost and on_regression == "fail":
        raise ValueError("; ".join(lost))
    return replace(result, stop=result.stop or ("; ".join(lost) or None))


def has_lost(gain: Gain, margin: float) -> bool:
    """Return True if a difference is below `-margin`, and its interval below 0."""
    return gain.mean < -margin and gain.high < 0


def _told(model: str, benchmark: str, gain: Gain, reference: str) -> str:
    return (
        f"{model} is {-100 * gain.mean:.1f} points under {reference} on {benchmark} "
        f"(95 %: {100 * gain.low:+.1f} to {100 * gain.high:+.1f}, {gain.problems} problems)"
    )


def problem_values(result: StageResult, reward: str) -> dict[str, dict[str, Values]]:
    """Return the mean of a reward on each problem, by model and benchmark, in the stage's order.

    Samples without a value do not count. Raises ValueError if the rollouts lack what is needed.
    """
    import pyarrow.parquet

    if result.dataset is None:
        raise ValueError(f"stage '{result.stage}' has no rollouts; give this to an evaluate stage")
    there = pyarrow.parquet.read_schema(result.dataset).names
    rewards = [name.removeprefix("rewards/") for name in there if name.startswith("rewards/")]
    if "model" not in there or "benchmark" not in there:
        raise ValueError(
            f"stage '{result.stage}' compares no models; give this to an evaluate stage"
        )
    if reward not in rewards:
        raise ValueError(f"reward: {_unknown('reward', reward, rewards)}")
    names = ["model", "benchmark", "problem", f"rewards/{reward}"]
    rows = pyarrow.parquet.read_table(result.dataset, columns=names).to_pydict()
    samples: dict[str, dict[str, dict[int, list[float]]]] = {}
    for model, benchmark, problem, value in zip(*(rows[name] for name in names), strict=True):
        by_problem = samples.setdefault(model, {}).setdefault(benchmark, defaultdict(list))
        if value is not None:
            by_problem[problem].append(value)
    return {
        model: {b: {p: math.fsum(v) / len(v) for p, v in each.items()} for b, each in by.items()}
        for model, by in samples.items()
    }


def _require_models(values: Mapping[str, object], models: Iterable[str]) -> None:
    for model in models:
        if model not in values:
            raise ValueError(_unknown("model", model, values))


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1)
    meant = f" (did you mean '{close[0]}'?)" if close else ""
    return f"the stage has no {what} '{name}'{meant}; it has: {', '.join(known)}"


def _against(
    values: Mapping[str, Mapping[str, Values]],
    reference: str,
    benchmarks: Sequence[str] | None,
    seed: int,
) -> Iterable[tuple[str, str, Gain]]:
    """Yield the other models' gains on each benchmark that both have problems of."""
    for model, by_benchmark in values.items():
        for benchmark, of_model in by_benchmark.items():
            before = values[reference].get(benchmark, {})
            both = sorted(of_model.keys() & before.keys())
            if model != reference and both and (benchmarks is None or benchmark in benchmarks):
                yield model, benchmark, paired_gain([of_model[p] - before[p] for p in both], seed)


def paired_gain(differences: Sequence[float], seed: int) -> Gain:
    """Return the mean of differences, one a problem, with its 95 % bootstrap interval."""
    mean = math.fsum(differences) / len(differences)
    return Gain(mean, *bootstrap_interval(differences, seed), len(differences))
