"""Draw line charts as SVG, one panel below the other."""

from collections.abc import Sequence
from html import escape
from typing import Final, NamedTuple

from benchmarks.results import Growth, Report

WIDTH: Final = 760
_LEFT: Final = 70
_RIGHT: Final = 20
_PLOT: Final = 120
_PANEL: Final = 190
_GRID_LINES: Final = 4
_LEGEND_OFFSET: Final = 300
_LEGEND_WIDTH: Final = 110
_STYLE: Final = "text{font:12px sans-serif;fill:#222}.grid{stroke:#ddd}.axis{stroke:#888}"


class Line(NamedTuple):
    """Hold one line of a panel."""

    name: str
    colour: str
    points: Sequence[tuple[float, float]]


class Panel(NamedTuple):
    """Hold lines that share their axes. ``unit`` is of the x axis; ``ticks`` are labels at given x values."""

    title: str
    unit: str
    lines: Sequence[Line]
    ticks: Sequence[tuple[float, str]] = ()


def render_svg(panels: Sequence[Panel]) -> str:
    """Return an SVG document with all panels."""
    height = _PANEL * len(panels) + 10
    drawn = "".join(_panel(panel, number * _PANEL) for number, panel in enumerate(panels))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"><style>{_STYLE}</style>'
        f'<rect width="100%" height="100%" fill="#fff"/>{drawn}</svg>\n'
    )


def timeline_panels(report: Report) -> list[Panel]:
    """Return throughput, latency and memory over time, for each scenario."""
    panels = []
    for result in report.scenarios:
        name, timeline = result.name, result.timeline
        rates = [
            Line("accepted", "#88c", [(point.at, point.accepted * result.plan.fan_out) for point in timeline]),
            Line("delivered", "#0a6", [(point.at, point.delivered) for point in timeline]),
        ]
        latencies = [
            Line("p50", "#b50", [(point.at, point.p50) for point in timeline]),
            Line("p99", "#e93", [(point.at, point.p99) for point in timeline]),
        ]
        memory = Line("nodes", "#639", [(at, size / 2**20) for at, size in result.memory.timeline])
        panels += [
            Panel(f"{name}: deliveries per second", "s", rates),
            Panel(f"{name}: publish to receipt, ms", "s", latencies),
            Panel(f"{name}: memory, MiB", "s", [memory]),
        ]
    return panels


def growth_panels(growth: Growth) -> list[Panel]:
    """Return CPU and latency by amount, for each axis."""
    panels = []
    for axis in dict.fromkeys(step.axis for step in growth.steps):
        steps = [(float(x), step) for x, step in enumerate(step for step in growth.steps if step.axis == axis)]
        ticks = [(x, f"{step.amount:,}") for x, step in steps]
        costs = [(x, step.median(lambda result: result.packhook_cost)) for x, step in steps]
        latencies = [
            Line("p50", "#b50", [(x, step.median(lambda result: result.latency.p50)) for x, step in steps]),
            Line("p99", "#e93", [(x, step.median(lambda result: result.latency.p99)) for x, step in steps]),
        ]
        panels += [
            Panel(f"{axis}: CPU µs per delivery", axis, [Line("node and database", "#0a6", costs)], ticks),
            Panel(f"{axis}: publish to receipt, ms", axis, latencies, ticks),
        ]
    return panels


def _panel(panel: Panel, top: int) -> str:
    points = [point for line in panel.lines for point in line.points]
    max_x = max((x for x, _ in points), default=0) or 1.0
    max_y = max((y for _, y in points), default=0) or 1.0
    title = f'<text x="{_LEFT}" y="{top + 24}" font-weight="bold">{escape(panel.title)}</text>'
    ticks = panel.ticks or [(max_x, f"{_short(max_x)} {panel.unit}")]
    lines = (_line(line, number, top, max_x, max_y) for number, line in enumerate(panel.lines))
    return "".join((title, *_grid(top, max_y), *_ticks(ticks, top, max_x), *lines))


def _grid(top: int, max_y: float) -> list[str]:
    parts = []
    for step in range(_GRID_LINES + 1):
        y = top + 40 + _PLOT - _PLOT * step / _GRID_LINES
        kind, label = "grid" if step else "axis", _short(max_y * step / _GRID_LINES)
        parts.append(f'<line class="{kind}" x1="{_LEFT}" y1="{y:.1f}" x2="{WIDTH - _RIGHT}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
    return parts


def _ticks(ticks: Sequence[tuple[float, str]], top: int, max_x: float) -> list[str]:
    parts = []
    for x, text in ticks:
        anchor = "end" if x == max_x else "middle" if x else "start"
        position = f'x="{_x(x, max_x):.1f}" y="{top + 56 + _PLOT}" text-anchor="{anchor}"'
        parts.append(f"<text {position}>{escape(text)}</text>")
    return parts


def _line(line: Line, number: int, top: int, max_x: float, max_y: float) -> str:
    bottom, legend = top + 40 + _PLOT, _LEFT + _LEGEND_OFFSET + number * _LEGEND_WIDTH
    points = " ".join(f"{_x(x, max_x):.1f},{bottom - y / max_y * _PLOT:.1f}" for x, y in line.points)
    return (
        f'<polyline points="{points}" fill="none" stroke="{line.colour}" stroke-width="2"/>'
        f'<rect x="{legend}" y="{top + 15}" width="12" height="12" fill="{line.colour}"/>'
        f'<text x="{legend + 17}" y="{top + 25}">{escape(line.name)}</text>'
    )


def _x(x: float, max_x: float) -> float:
    return _LEFT + max(0.0, x) / max_x * (WIDTH - _RIGHT - _LEFT)


def _short(value: float) -> str:
    """Format a number so that it fits the axis."""
    return f"{value:,.0f}" if value >= 100 or value == 0 else f"{value:.3g}"
