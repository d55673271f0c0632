"""Rows as tables: of completions, and of the metrics of a scoreboard."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

LONGEST = 2000  # characters of a text in a Markdown table


def columns_of(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of all columns of rows, in the order in which they come."""
    return list(dict.fromkeys(name for row in rows for name in row))


def cells(rows: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
    """Return rows as lists, one value for each of `columns_of`; lists and mappings as JSON."""
    names = columns_of(rows)
    return [[_plain(row.get(name)) for name in names] for row in rows]


def _plain(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value


def scoreboard(metrics: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return metrics `<model>/<benchmark>/<metric>` as a row for each model and benchmark."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for name, value in metrics.items():
        if name.count("/") >= 2:
            model, benchmark, metric = name.split("/", 2)
            row = rows.setdefault((model, benchmark), {"model": model, "benchmark": benchmark})
            row[metric] = value
    return list(rows.values())


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as a table in Markdown."""
    names = columns_of(rows)
    lines = [names, ["---"] * len(names), *([_cell(value) for value in row] for row in cells(rows))]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str("" if value is None else value)
    return " ".join(text[:LONGEST].replace("|", "\\|").replace("<", "&lt;").split())
