"""The curves of a stage in all runs, laid over each other: a chart a metric, a line a run."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from r1trl.compare.runs import ComparedRun
from r1trl.report.curves import charts_of, columns_of, together
from r1trl.report.data import CURVES
from r1trl.storage.jsonl import read_rows

STEP = "step"
Columns = Mapping[str, Sequence[float | None]]


def curves(runs: Sequence[ComparedRun], stage: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the charts of a stage, and the block of their numbers; no charts if no run has logged.

    Charts and block are as those of one run; the metric of a run begins with the run's number.
    """
    read = {i: _rows(run, stage) for i, run in enumerate(runs)}
    columns = {i: columns_of(rows) for i, rows in read.items() if rows}
    names = list(dict.fromkeys(name for each in columns.values() for name in each))
    charts = [
        chart
        for whole in charts_of(names)
        for metric in whole["series"]
        if (chart := _chart(whole, metric, runs, columns))["series"]
    ]
    used = [name for chart in charts for series in chart["series"] for name in _metrics(series)]
    block = {
        "together": max((together(rows) for rows in read.values()), default=1),
        "columns": _merged(columns, used),
    }
    return charts, block


def _rows(run: ComparedRun, stage: str) -> list[dict[str, Any]]:
    found = run.stage(stage)
    return list(read_rows(found.folder / CURVES)) if found else []


def _chart(
    whole: Mapping[str, Any],
    metric: Mapping[str, str],
    runs: Sequence[ComparedRun],
    columns: Mapping[int, Columns],
) -> dict[str, Any]:
    """Return the chart of one of the metrics of a chart, with a line for each run that has it."""
    own = {key: name for key, name in metric.items() if key != "label"}
    lines = [
        {"label": run.name, **{key: f"{i}/{name}" for key, name in own.items() if name in there}}
        for i, run in enumerate(runs)
        if metric["metric"] in (there := columns.get(i, {}))
    ]
    title = whole["title"]
    named = f"{title}: {metric['label']}" if len(whole["series"]) > 1 else title
    return {"group": whole["group"], "title": named, "series": lines}


def _metrics(series: Mapping[str, str]) -> Iterator[str]:
    for key, name in series.items():
        if key != "label":
            yield name


def _merged(columns: Mapping[int, Columns], used: Sequence[str]) -> dict[str, list[float | None]]:
    """Return the columns of all runs over all of their steps; null where a run has logged none."""
    rows: dict[float, dict[str, float]] = {}
    for i, each in columns.items():
        for place, step in enumerate(each.get(STEP, ())):
            if step is not None:
                row = rows.setdefault(step, {})
                row |= {f"{i}/{n}": v for n, vs in each.items() if (v := vs[place]) is not None}
    steps = sorted(rows)
    merged = {name: [rows[step].get(name) for step in steps] for name in used}
    return {STEP: list(steps), **merged}
