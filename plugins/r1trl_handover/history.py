"""The metrics that a training stage logged: its metrics.jsonl as one row per optimizer step."""

import difflib
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

Row = dict[str, float]


def read(folder: Path) -> list[Row]:
    """Return the rows of a stage's metrics.jsonl in the order of steps; empty without a file.

    Lines of the same step become one row, in which later values win: the last step has a second
    line, with the means over all steps.
    """
    file = folder / "metrics.jsonl"
    rows: dict[int, Row] = {}
    for line in file.read_bytes().split(b"\n") if file.exists() else []:
        if line.strip():
            row = json.loads(line)
            rows.setdefault(int(row["step"]), {}).update(row)
    return [rows[step] for step in sorted(rows)]


def logged(rows: Iterable[Mapping[str, float]], metric: str) -> list[float]:
    """Return a metric's values in the rows that have it."""
    return [row[metric] for row in rows if isinstance(row.get(metric), int | float)]


def metric_names(rows: Iterable[Mapping[str, float]]) -> set[str]:
    """Return the names of all metrics in the rows."""
    return {name for row in rows for name in row} - {"step"}


def unknown_metric(metric: str, available: Iterable[str]) -> ValueError:
    """Return the error for an unknown metric, with similar names and all available ones."""
    names = sorted(available)
    similar = difflib.get_close_matches(metric, names, n=3)
    suggestion = f" (did you mean {' or '.join(similar)}?)" if similar else ""
    return ValueError(
        f"no metric is called '{metric}'{suggestion}; there are: {', '.join(names) or 'none'}"
    )


def mean(values: list[float]) -> float:
    """Return the mean; NaN of an empty list."""
    return math.fsum(values) / len(values) if values else math.nan
