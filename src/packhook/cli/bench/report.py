"""The report for people: tables, and a picture of the run that is also written as SVG."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from packhook.cli.bench.figures import Figures, Report

_BARS: Final = " ▁▂▃▄▅▆▇█"
_HEIGHT: Final = 6
_SVG: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">'
    '<rect width="100%" height="100%" fill="#fff"/>{drawn}</svg>'
)


def show(report: Report, console: Console) -> None:
    """Everything, as tables and a picture."""
    console.print(_costs(report))
    for scenario in report.scenarios:
        if len(scenario.course) > 1 and not scenario.plan.rate:
            console.print(_picture(scenario))


def write_json(report: Report, file: Path) -> None:
    """The same for machines."""
    file.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2))


def _costs(report: Report) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for scenario in report.scenarios:
        table.add_column(scenario.name, justify="right")
    for name, values in _rows(report):
        table.add_row(name, *values)
    return table


def _rows(report: Report) -> list[tuple[str, list[str]]]:
    scenarios, floor = report.scenarios, report.floor
    layers = sorted({layer for scenario in scenarios for layer in scenario.cost})
    rows = [
        ("events", [f"{s.plan.events:,}" for s in scenarios]),
        ("accepted a second", [f"{s.accepted:,.0f}" for s in scenarios]),
        ("delivered a second", [f"{s.delivered:,.0f}" for s in scenarios]),
        ("publish to receipt p50 ms", [f"{s.latency.p50:.2f}" for s in scenarios]),
        ("                   p95 ms", [f"{s.latency.p95:.2f}" for s in scenarios]),
        ("                   p99 ms", [f"{s.latency.p99:.2f}" for s in scenarios]),
        ("                   max ms", [f"{s.latency.max:.2f}" for s in scenarios]),
        ("CPU µs a delivery", [f"{s.cost_of_ours:.0f}" for s in scenarios]),
        *((f"  of it {layer}", [f"{s.cost.get(layer, 0):.0f}" for s in scenarios]) for layer in layers),
    ]
    if floor is not None:
        rows += [
            ("the floor, a second", [f"{floor.delivered:,.0f}" for _ in scenarios]),
            ("the floor, CPU µs", [f"{floor.cost:.0f}" for _ in scenarios]),
            ("CPU over the floor", [f"{s.cost_of_ours / floor.cost:.2f} x" for s in scenarios]),
        ]
    rows += [
        ("receiver's CPU share", [f"{s.receiver_share:.0%}" for s in scenarios]),
        ("peak memory MiB", [f"{s.peak_memory / 2**20:.0f}" for s in scenarios]),
        ("lost", [str(s.lost) for s in scenarios]),
        ("arrived twice", [str(s.duplicates) for s in scenarios]),
        ("badly signed", [str(s.badly_signed) for s in scenarios]),
    ]
    return rows


def _picture(scenario: Figures) -> Group:
    return Group(
        Text(f"\n{scenario.name}: delivered a second over time, at most {_most(scenario):,.0f}", style="bold"),
        Text(_bars([moment.delivered for moment in scenario.course])),
        Text(f"{scenario.name}: p50 ms over time, at most {_slowest(scenario):.1f}", style="bold"),
        Text(_bars([moment.p50 for moment in scenario.course])),
    )


def _most(scenario: Figures) -> float:
    return max(moment.delivered for moment in scenario.course)


def _slowest(scenario: Figures) -> float:
    return max(moment.p50 for moment in scenario.course)


def _bars(values: Sequence[float]) -> str:
    """Bars of block characters, a few lines high."""
    most = max(values) or 1.0
    steps = len(_BARS) - 1
    eighths = [round(value / most * _HEIGHT * steps) for value in values]
    return "\n".join(
        "".join(_BARS[min(steps, max(0, each - row * steps))] for each in eighths) for row in reversed(range(_HEIGHT))
    )


def write_svg(report: Report, file: Path) -> None:
    """Throughput and latency over time, a pair of lines for each scenario that ran as fast as it could."""
    drawn: list[str] = []
    top = 20
    for scenario in report.scenarios:
        if scenario.plan.rate:
            continue
        drawn.append(_line(scenario, f"{scenario.name}: delivered a second", "delivered", top, "#0b6"))
        drawn.append(_line(scenario, f"{scenario.name}: p50 ms", "p50", top + 130, "#b50"))
        top += 280
    file.write_text(_SVG.format(width=760, height=top, drawn="".join(drawn)), "utf-8")


def _line(scenario: Figures, title: str, name: str, top: int, colour: str) -> str:
    values = [float(getattr(moment, name)) for moment in scenario.course]
    most, longest = max(values) or 1.0, scenario.course[-1].at or 1.0
    points = " ".join(
        f"{40 + moment.at / longest * 700:.1f},{top + 110 - value / most * 90:.1f}"
        for moment, value in zip(scenario.course, values, strict=True)
    )
    label = f"{title}, at most {most:,.1f}, over {longest:.1f} s"
    return (
        f'<text x="40" y="{top + 12}" font-family="sans-serif" font-size="13">{label}</text>'
        f'<line x1="40" y1="{top + 110}" x2="740" y2="{top + 110}" stroke="#999"/>'
        f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
    )
