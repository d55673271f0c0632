"""End the run if a stage misses what the following ones need."""

from dataclasses import replace

from r1trl import StageResult
from r1trl_handover.history import logged, metric_names, read, unknown_metric


def require(
    result: StageResult,
    *,
    metric: str,
    min_value: float | None = None,
    max_value: float | None = None,
) -> StageResult:
    """End the run with a reason if a metric is under `min_value` or over `max_value`.

    The metric is one of the result's, or else the last value logged; NaN is out of bounds. Raises
    ValueError if the metric is unknown, or if neither bound is given.
    """
    if min_value is None and max_value is None:
        raise ValueError(f"require on '{metric}' needs a bound: min_value or max_value")
    value = latest_value(result, metric)
    reason = None
    if min_value is not None and not value >= min_value:
        reason = f"{metric} of stage '{result.stage}' is {value:g}, less than {min_value:g}"
    elif max_value is not None and not value <= max_value:
        reason = f"{metric} of stage '{result.stage}' is {value:g}, more than {max_value:g}"
    return replace(result, stop=result.stop or reason)


def latest_value(result: StageResult, metric: str) -> float:
    """Return a metric of the result, or else its last value in metrics.jsonl.

    Raises ValueError if neither has it.
    """
    if metric in result.metrics:
        return result.metrics[metric]
    rows = read(result.folder)
    values = logged(rows, metric)
    if not values:
        raise unknown_metric(metric, {*metric_names(rows), *result.metrics})
    return values[-1]
