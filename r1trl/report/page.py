"""report.html: the scoreboard as bars and a table, and how every training stage went."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from r1trl.process.terminal import short
from r1trl.report.charts import bars, lines
from r1trl.report.tables import in_html
from r1trl.storage.jsonl import read_rows
from r1trl.types import StageResult

STYLE = (
    "body{font:15px system-ui,sans-serif;max-width:1180px;margin:32px auto;padding:0 16px;"
    "color:#111827}table{border-collapse:collapse;margin:12px 0}td,th{padding:4px 12px;"
    "border-bottom:1px solid #e5e7eb;text-align:left;white-space:nowrap}"
    ".row{display:flex;flex-wrap:wrap;gap:16px}"
    "pre{background:#f9fafb;padding:8px 12px;white-space:pre-wrap}h2{margin-top:36px}"
)
NO_CODE = (  # a page of texts that a model has written loads and runs nothing
    '<meta http-equiv="Content-Security-Policy" '
    "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
)
REWARD = ("rewards/", "/mean")
HELD_OUT = re.compile(r"eval/(.+)/pass@1")  # of a benchmark, answered in training
SHOWN = 20_000  # characters of a completion
Points = Sequence[tuple[float, float]]
SINGLES = ("completions/mean_length", "loss", "entropy", "kl", "mean_token_accuracy", "accuracy")


def page(title: str, tables: Mapping[str, list[list[str]]], results: list[StageResult]) -> str:
    """Write the page; `tables` are by heading, the first row of each its head."""
    parts = [f"<h1>{in_html(title)}</h1>"]
    for heading, rows in tables.items():
        parts += [f"<h2>{in_html(heading)}</h2>", _bars(heading, results), _table(rows)]
    parts += [section for result in results if (section := _training(result))]
    head = f'<meta charset="utf-8">{NO_CODE}<title>{in_html(title)}</title><style>{STYLE}</style>'
    return f"<!doctype html><html><head>{head}</head><body>{''.join(parts)}</body></html>\n"


def _table(rows: list[list[str]]) -> str:
    cells = [[f"<td>{in_html(cell)}</td>" for cell in row] for row in rows]
    cells[0] = [cell.replace("td>", "th>") for cell in cells[0]]
    return "<table>" + "".join(f"<tr>{''.join(row)}</tr>" for row in cells) + "</table>"


def _bars(heading: str, results: list[StageResult]) -> str:
    """Draw pass@1 of the stage that the heading names, if it has a scoreboard."""
    found: list[Any] = []
    for metrics in (r.metrics for r in results if r.stage == heading):
        for name, value in metrics.items():
            if name.endswith("/pass@1"):
                label = name.removesuffix("/pass@1")
                ends = (metrics.get(f"{name}_{end}", value) for end in ("low", "high"))
                found.append((label, value, *ends))
    benchmarks = {name.rpartition("/")[2] for name, *_ in found}
    if len(benchmarks) == 1:
        found = [(name.rpartition("/")[0], *ends) for name, *ends in found]
    return bars(found) if found else ""


def _training(result: StageResult) -> str | None:
    """Draw a training stage's curves and show a few of its last completions."""
    rows = read_rows(result.folder / "metrics.jsonl")
    series = {name: _points(rows, name) for name in dict.fromkeys(k for row in rows for k in row)}
    rewards = {
        name.removeprefix("rewards/").removesuffix("/mean"): values
        for name, values in series.items()
        if name.startswith(REWARD[0]) and name.endswith(REWARD[1])
    }
    held_out = {m[1]: values for name, values in series.items() if (m := HELD_OUT.fullmatch(name))}
    charts = [lines("held-out pass@1", held_out)] if held_out else []
    charts += _of_rewards(rewards)
    charts += [
        lines(name, _with_verdicts(name, series))
        for name in SINGLES
        if len(series.get(name, ())) > 1
    ]
    if not charts:
        return None
    shown = read_rows(result.folder / "completions.jsonl")[-3:]
    texts = [f"{r.get('prompt')}{r.get('completion')}   → {r.get('reward')}" for r in shown]
    samples = "".join(f"<pre>{in_html(short(text, SHOWN))}</pre>" for text in texts)
    return f"<h2>{in_html(result.stage)}</h2><div class=row>{''.join(charts)}</div>{samples}"


def _of_rewards(rewards: Mapping[str, Points]) -> list[str]:
    """Draw rewards in one chart; one beyond -1 to 1, such as a count, in one of its own."""
    large = [name for name, values in rewards.items() if any(abs(y) > 1 for _, y in values)]
    together = {name: values for name, values in rewards.items() if name not in large}
    charts = [lines("rewards", together)] if together else []
    return [*charts, *(lines(name, {name: rewards[name]}) for name in large)]


def _with_verdicts(name: str, series: Mapping[str, Points]) -> dict[str, Points]:
    """Return the series of a metric: over all completions, and those over right and wrong ones."""
    found = {"all": name, "right": f"{name}/right", "wrong": f"{name}/wrong"}
    return {label: series[each] for label, each in found.items() if each in series}


def _points(rows: Sequence[Mapping[str, Any]], name: str) -> list[tuple[float, float]]:
    numbers = [(row.get("step"), row.get(name)) for row in rows]
    return [(x, y) for x, y in numbers if isinstance(x, int | float) and isinstance(y, int | float)]
