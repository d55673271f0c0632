"""Line and bar charts as SVG text, for a report that is one file and needs nothing to be seen."""

from collections.abc import Mapping, Sequence

from r1trl.report.tables import in_html

COLORS = ("#2563eb", "#dc2626", "#16a34a", "#d97706", "#7c3aed", "#0891b2")
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 360, 236, 56, 24, 46
ROW, LABEL, BAR = 26, 110, 380


def lines(title: str, series: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Draw series of (step, value) in one chart."""
    points = [point for values in series.values() for point in values]
    if not points:
        return ""
    x_end = max(x for x, _ in points) or 1.0
    low, high = min(0.0, *(y for _, y in points)), max(y for _, y in points)
    high = high if high > low else low + 1.0

    def at(x: float, y: float) -> str:
        across = LEFT + (WIDTH - LEFT - 8) * x / x_end
        up = HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * (y - low) / (high - low)
        return f"{across:.1f},{up:.1f}"

    body = [_text(LEFT, 14, title, weight="600")]
    for value in (low, (low + high) / 2, high):
        y = at(0, value).partition(",")[2]
        body.append(f'<line x1="{LEFT}" x2="{WIDTH - 8}" y1="{y}" y2="{y}" stroke="#e5e7eb"/>')
        body.append(_text(LEFT - 6, float(y) + 4, f"{value:.2g}", anchor="end"))
    body.append(_text(WIDTH - 8, HEIGHT - 6, f"step {x_end:g}", anchor="end"))
    for i, (name, values) in enumerate(series.items()):
        color = COLORS[i % len(COLORS)]
        path = " ".join(at(x, y) for x, y in values)
        body.append(f'<polyline fill="none" stroke="{color}" stroke-width="2" points="{path}"/>')
        if len(series) > 1:
            across = sum(8 * len(other) for other in list(series)[:i])
            body.append(_text(LEFT + across, 32, name, color=color))
    return _svg(WIDTH, HEIGHT, body)


def bars(rows: Sequence[tuple[str, float, float, float]]) -> str:
    """Draw (name, value, low, high), all from 0 to 1, as bars with their interval."""
    body = []
    for i, (name, value, low, high) in enumerate(rows):
        y = i * ROW
        body.append(_text(LABEL - 8, y + 17, name, anchor="end"))
        body.append(_bar(LABEL, y + 4, BAR, "#f3f4f6"))
        body.append(_bar(LABEL, y + 4, BAR * value, COLORS[0]))
        ends = f'x1="{LABEL + BAR * low:.1f}" x2="{LABEL + BAR * high:.1f}"'
        body.append(f'<line {ends} y1="{y + 13}" y2="{y + 13}" stroke="#111827" stroke-width="2"/>')
        body.append(_text(LABEL + BAR + 8, y + 17, f"{100 * value:.1f} %"))
    return _svg(LABEL + BAR + 60, ROW * len(rows) + 4, body)


def _bar(x: float, y: float, width: float, color: str) -> str:
    return f'<rect x="{x}" y="{y}" width="{width:.1f}" height="18" rx="3" fill="{color}"/>'


def _text(
    x: float, y: float, text: str, anchor: str = "start", color: str = "#374151", weight: str = ""
) -> str:
    bold = f' font-weight="{weight}"' if weight else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="12" text-anchor="{anchor}" '
        f'fill="{color}"{bold}>{in_html(text)}</text>'
    )


def _svg(width: float, height: float, body: list[str]) -> str:
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="system-ui, sans-serif">'
    return head + "".join(body) + "</svg>"
