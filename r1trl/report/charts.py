"""The charts of reports as Vega-Lite, and the JavaScript that draws them.

Each chart is made once, by Altair, for rows that a page gives it by name: `curves` for every metric
of every stage, for example. Rows of `curves`: series, step, value, raw, low, high; of `bars`: name,
value, low, high, noise; of `heat_map`: x, y, value; of `points`: series, x, y, text. What a chart
has no value for is left out of its rows.
"""

import os
import subprocess
import sys
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from r1trl.storage.writing import write_text

ROWS = "rows"  # the name of a chart's data
NUMBER = ".6~g"  # of what the pointer is over
BUNDLE = """
import sys, vl_convert
sys.stdout.reconfigure(encoding="utf-8", newline="")
print(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"), end="")
"""


@cache
def charts() -> dict[str, dict[str, Any]]:
    """Return the charts of a report by their names, as Vega-Lite without data."""
    made = {"curves": _curves(), "bars": _bars(), "heat_map": _heat_map(), "points": _points()}
    return {name: chart.to_dict() for name, chart in made.items()}


@cache
def bundle() -> str:
    """Return Vega, Vega-Lite and vegaEmbed as JavaScript, which defines `vegaEmbed`, in 0.9 MB.

    Putting them together takes seconds and much memory: another process does it, once for each user
    and version, and leaves it in the user's cache. Raises RuntimeError if it fails.
    """
    name = f"vega-by-vl-convert-{version('vl-convert-python')}.js"
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    file = home / "r1trl" / name
    if file.exists():
        return file.read_text(encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", BUNDLE], capture_output=True, check=False)
    text = done.stdout.decode("utf-8")
    if done.returncode or "</script" in text.lower() or "vegaEmbed" not in text:
        reason = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise RuntimeError(f"vl-convert-python made no JavaScript for charts: {reason}")
    with suppress(OSError):  # a home that cannot be written to: the next run makes it again
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, text)
    return text


def _rows() -> Any:
    import altair

    return altair.Chart(altair.NamedData(ROWS)).properties(width="container")


def _curves() -> Any:
    """Return lines over steps, with intervals: drag to move, Shift and wheel to zoom."""
    import altair as alt

    x = alt.X("step:Q", title="step", axis=alt.Axis(grid=False, tickCount=6))
    y = alt.Y("value:Q", title=None, scale=alt.Scale(zero=False))
    color = alt.Color("series:N", title=None, sort=None)
    some = alt.selection_point(fields=["series"], bind="legend", name="some")
    near = alt.selection_point(
        fields=["step"],
        nearest=True,
        on="pointermove",
        clear="pointerout",
        empty=False,
        name="near",
    )
    zoom = alt.selection_interval(bind="scales", zoom="wheel![event.shiftKey]", name="zoom")
    strong = alt.condition(some, alt.value(1), alt.value(0.1))
    rows = _rows()
    band = rows.mark_area(opacity=0.15).encode(x, alt.Y("low:Q"), alt.Y2("high:Q"), color)
    raw = rows.mark_line(strokeWidth=1, opacity=0.25).encode(x, alt.Y("raw:Q"), color)
    line = rows.mark_line(strokeWidth=2).encode(x, y, color, opacity=strong)
    dots = rows.mark_point(filled=True, size=55).encode(
        x,
        y,
        color,
        opacity=alt.condition(near, alt.value(1), alt.value(0)),
        tooltip=[alt.Tooltip(f"{name}:Q", format=NUMBER) for name in ("step", "value")]
        + [alt.Tooltip("series:N"), alt.Tooltip("interval:N")],
    )
    dots = dots.add_params(near)
    return (band + raw + line.add_params(some, zoom) + dots).properties(width="container")


def _bars() -> Any:
    """Return a bar for each name, with its interval, and the range of noise around 0 behind it."""
    import altair as alt

    label = alt.Axis(labelLimit=220)
    y = alt.Y("name:N", title=None, sort=None, axis=label)
    x = alt.X("value:Q", title=None)
    rows = _rows()
    tips = [alt.Tooltip("name:N"), alt.Tooltip("value:Q", format=NUMBER)]
    tips += [alt.Tooltip("interval:N"), alt.Tooltip("noise:Q", format=NUMBER)]
    noise = (
        rows.transform_filter("isValid(datum.noise)")
        .transform_calculate(least="-datum.noise")
        .mark_bar(color="#9ca3af", opacity=0.35, height={"band": 1})
        .encode(alt.X("least:Q"), alt.X2("noise:Q"), y=y)
    )
    strong = alt.condition("datum.weak", alt.value(0.4), alt.value(1))
    bar = rows.mark_bar(height={"band": 0.6}).encode(x, y, opacity=strong, tooltip=tips)
    ends = rows.mark_rule(strokeWidth=2, color="#6b7280").encode(
        alt.X("low:Q"), alt.X2("high:Q"), y=y, tooltip=tips
    )
    return (noise + bar + ends).properties(width="container")


def _heat_map() -> Any:
    """Return a coloured cell for each x and y; values around 0, if some are below it."""
    import altair as alt

    x = alt.X("x:N", title=None, sort=None, axis=alt.Axis(labelAngle=-45, labelLimit=140))
    y = alt.Y("y:N", title=None, sort=None, axis=alt.Axis(labelLimit=180))
    color = alt.Color("value:Q", title=None, scale=alt.Scale(scheme="viridis"))
    tips = [alt.Tooltip("y:N"), alt.Tooltip("x:N"), alt.Tooltip("value:Q", format=NUMBER)]
    return _rows().mark_rect().encode(x, y, color, tooltip=tips)


def _points() -> Any:
    """Return a point for each x and y, with its name beside it."""
    import altair as alt

    x = alt.X("x:Q", scale=alt.Scale(zero=False, padding=30), axis=alt.Axis(tickCount=5))
    y = alt.Y("y:Q", scale=alt.Scale(zero=False, padding=15))
    legend = alt.Legend(symbolType="circle")
    color = alt.Color("series:N", title=None, sort=None, legend=legend)
    tips = [alt.Tooltip("text:N"), alt.Tooltip("series:N")]
    tips += [alt.Tooltip(f"{name}:Q", format=NUMBER) for name in ("x", "y")]
    zoom = alt.selection_interval(bind="scales", zoom="wheel![event.shiftKey]", name="zoom")
    dots = (
        _rows().mark_circle(size=80, opacity=1).encode(x, y, color, tooltip=tips).add_params(zoom)
    )
    named = _rows().transform_filter("isValid(datum.text)")
    names = named.mark_text(dy=-10, fontSize=11).encode(x, y, color, text="text:N")
    return (dots + names).properties(width="container")
