"""The pictures: lines over a grid as SVG, each a few elements that any browser draws."""

from collections.abc import Sequence
from html import escape
from typing import Final, NamedTuple

from packhook.cli.bench.figures import Growth, Report

WIDTH: Final = 760
_LEFT: Final = 70
_RIGHT: Final = 20
_PLOT: Final = 120
_PANEL: Final = 190
_STEPS: Final = 4
_STYLE: Final = "text{font:12px sans-serif;fill:#222}.grid{stroke:#ddd}.axis{stroke:#888}"


class Line(NamedTuple):
    """One line of a panel: its name, colour and points."""

    name: str
    colour: str
    points: Sequence[tuple[float, float]]


class Panel(NamedTuple):
    """Lines that share their axes. ``across`` names what goes from left to right, with its unit.

    ``marks``: what to write below certain places instead.
    """

    title: str
    across: str
    lines: Sequence[Line]
    marks: Sequence[tuple[float, str]] = ()


def draw(panels: Sequence[Panel]) -> str:
    """All panels, one below the other."""
    height = _PANEL * len(panels) + 10
    drawn = "".join(_panel(panel, number * _PANEL) for number, panel in enumerate(panels))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"><style>{_STYLE}</style>'
        f'<rect width="100%" height="100%" fill="#fff"/>{drawn}</svg>\n'
    )


def course_panels(report: Report) -> list[Panel]:
    """Throughput, latency and backlog over time, of each scenario; memory over time."""
    panels = []
    for each in report.scenarios:
        rates = [
            Line("accepted", "#88c", [(m.at, m.accepted * each.plan.fan_out) for m in each.course]),
            Line("delivered", "#0a6", [(m.at, m.delivered) for m in each.course]),
        ]
        waits = [
            Line("p50", "#b50", [(m.at, m.p50) for m in each.course]),
            Line("p99", "#e93", [(m.at, m.p99) for m in each.course]),
        ]
        mebibytes = Line("nodes", "#639", [(at, size / 2**20) for at, size in each.memory.course])
        panels += [
            Panel(f"{each.name}: deliveries a second", "s", rates),
            Panel(f"{each.name}: publish to receipt, ms", "s", waits),
            Panel(f"{each.name}: memory, MiB", "s", [mebibytes]),
        ]
    return panels


def growth_panels(growth: Growth) -> list[Panel]:
    """CPU and latency by how much there is, a pair for each axis."""
    panels = []
    for axis in dict.fromkeys(step.axis for step in growth.steps):
        steps = [(float(place), each) for place, each in enumerate(each for each in growth.steps if each.axis == axis)]
        marks = [(place, f"{each.amount:,}") for place, each in steps]
        costs = [(place, each.median(lambda round_: round_.cost_of_ours)) for place, each in steps]
        waits = [
            Line("p50", "#b50", [(place, each.median(lambda round_: round_.latency.p50)) for place, each in steps]),
            Line("p99", "#e93", [(place, each.median(lambda round_: round_.latency.p99)) for place, each in steps]),
        ]
        panels += [
            Panel(f"{axis}: CPU µs for one delivery", axis, [Line("node and database", "#0a6", costs)], marks),
            Panel(f"{axis}: publish to receipt, ms", axis, waits, marks),
        ]
    return panels


def _panel(panel: Panel, top: int) -> str:
    points = [point for line in panel.lines for point in line.points]
    widest = max((x for x, _ in points), default=0) or 1.0
    highest = max((y for _, y in points), default=0) or 1.0
    bottom, right = top + 40 + _PLOT, WIDTH - _RIGHT
    parts = [f'<text x="{_LEFT}" y="{top + 24}" font-weight="bold">{escape(panel.title)}</text>']
    for step in range(_STEPS + 1):
        y = bottom - _PLOT * step / _STEPS
        kind = "grid" if step else "axis"
        parts.append(f'<line class="{kind}" x1="{_LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>')
        parts.append(
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_short(highest * step / _STEPS)}</text>'
        )
    for x, text in panel.marks or [(widest, f"{_short(widest)} {panel.across}")]:
        place = _LEFT + x / widest * (right - _LEFT)
        anchor = "end" if x == widest else "middle" if x else "start"
        parts.append(f'<text x="{place:.1f}" y="{bottom + 16}" text-anchor="{anchor}">{escape(text)}</text>')
    at = _LEFT + 300
    for line in panel.lines:
        coordinates = " ".join(
            f"{_LEFT + max(0.0, x) / widest * (right - _LEFT):.1f},{bottom - y / highest * _PLOT:.1f}"
            for x, y in line.points
        )
        parts.append(f'<polyline points="{coordinates}" fill="none" stroke="{line.colour}" stroke-width="2"/>')
        parts.append(f'<rect x="{at}" y="{top + 15}" width="12" height="12" fill="{line.colour}"/>')
        parts.append(f'<text x="{at + 17}" y="{top + 25}">{escape(line.name)}</text>')
        at += 110
    return "".join(parts)


def _short(value: float) -> str:
    """A number that fits the axis."""
    return f"{value:,.0f}" if value >= 100 or value == 0 else f"{value:.3g}"
