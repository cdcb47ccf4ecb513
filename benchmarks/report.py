"""Print a report as tables, and write it as JSON or SVG."""

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import quantiles
from typing import Final

import msgspec
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from benchmarks.charts import growth_panels, render_svg, timeline_panels
from benchmarks.results import PACKHOOK_PROCESSES, Growth, Report, Result, Round

SATURATED_CORES: Final = 0.85
DISTURBED_CORES: Final = 0.15
_BARS: Final = " ▁▂▃▄▅▆▇█"
_HEIGHT: Final = 6

Value = Callable[[Result], str]


def show(report: Report | Growth, console: Console) -> None:
    """Print tables and bar charts, then the warnings that a reader needs to judge the figures."""
    parts: list[RenderableType] = [_machine_table(report)]
    if isinstance(report, Growth):
        parts.append(_growth_table(report))
    else:
        parts.append(_scenario_table(report))
        if report.baselines:
            parts.append(_baseline_table(report))
        if report.rounds:
            parts.append(_round_table(report))
        parts += [
            _bar_charts(result) for result in report.scenarios if len(result.timeline) > 1 and not result.plan.rate
        ]
    for part in parts:
        console.print(part)
        console.print()
    for warning in warnings(report):
        console.print(warning)


def write_json(report: Report | Growth, file: Path) -> None:
    """Write the report as JSON, with the values that are derived from it."""
    content = msgspec.to_builtins(report)
    if isinstance(report, Growth):
        scenarios = [result for step in content["steps"] for result in step["rounds"]]
        for written, step in zip(content["steps"], report.steps, strict=True):
            quartiles = _quartiles(report.cost_ratios(step))
            written["cost_ratio"] = dict(zip(("lower", "median", "upper"), quartiles, strict=True))
    else:
        scenarios = content["scenarios"]
        for written, round_ in zip(content["rounds"], report.rounds, strict=True):
            written |= {"rate_ratio": round_.rate_ratio, "cpu_ratio": round_.cpu_ratio}
    for written, result in zip(scenarios, report.scenarios, strict=True):
        written |= {"packhook_cost": result.packhook_cost, "is_flat": result.is_flat}
    content["is_good"] = report.is_good
    file.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=2))


def write_svg(report: Report | Growth, file: Path) -> None:
    """Draw throughput, latency and memory over time; for a growth report, cost and latency by amount."""
    panels = growth_panels(report) if isinstance(report, Growth) else timeline_panels(report)
    file.write_text(render_svg(panels), "utf-8")


def warnings(report: Report | Growth) -> list[str]:
    """Return what limits the meaning of the figures: saturation, disturbance, a growing backlog, refusals, losses."""
    found = [] if isinstance(report, Growth) else list(report.skipped)
    found += [warning for result in report.scenarios for warning in _scenario_warnings(result)]
    if isinstance(report, Report):
        found += [f"{bare.name}: NOT GOOD: {bare.loss}" for bare in report.baselines if not bare.loss.is_none]
        found += [f"rounds: NOT GOOD: {loss}" for round_ in report.rounds for loss in round_.losses if not loss.is_none]
    return found


def _scenario_warnings(result: Result) -> list[str]:
    found = [
        f"{result.name}: the {name} used {result.cores[name]:.0%} of a core: it may have been the limit"
        for name in ("receiver", "publisher")
        if result.cores[name] > SATURATED_CORES
    ]
    disturbed = result.cores["others"] + result.cores["stolen"]
    if disturbed > DISTURBED_CORES:
        found.append(f"{result.name}: other processes used {disturbed:.2f} cores: do not trust these figures")
    if not result.is_flat:
        found.append(f"{result.name}: the backlog grew by {result.backlog_growth:,.0f} deliveries per second")
    if result.refused:
        found.append(f"{result.name}: publishes that were not accepted: {result.refused}")
    if not result.loss.is_none:
        found.append(f"{result.name}: NOT GOOD: {result.loss}")
    return found


def _table(*heads: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, head in enumerate(heads):
        table.add_column(head, justify="right" if number else "left")
    return table


def _machine_table(report: Report | Growth) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in report.machine.items():
        table.add_row(name, value)
    return table


def _scenario_table(report: Report) -> Table:
    table = _table("", *(result.name for result in report.scenarios))
    for name, value in _SCENARIO_ROWS:
        table.add_row(name, *(value(result) for result in report.scenarios))
        if name == "  node" and report.profile is not None:
            for layer, cost in report.profile.layers.items():
                table.add_row(f"    {layer}", f"{cost:.1f}")
    if report.profile is not None:
        table.add_row("profiler overhead", f"{report.profile.overhead:.1f}")
    if report.profile is not None and report.profile.statements is not None:
        table.add_row("statements per 100 deliveries", f"{report.profile.statements:.1f}")
    return table


def _growth_table(growth: Growth) -> Table:
    """Show the median of each step, and its cost as a multiple of the first step of its axis in the same round."""
    table = _table("growth", "", "per second", "p50 ms", "p99 ms", "CPU µs", "ratio", "middle half of rounds")
    for step in growth.steps:
        lower, median, upper = _quartiles(growth.cost_ratios(step))
        table.add_row(
            step.axis, f"{step.amount:,}", f"{step.median(lambda result: result.delivered):,.0f}",
            f"{step.median(lambda result: result.latency.p50):.1f}",
            f"{step.median(lambda result: result.latency.p99):.1f}",
            f"{step.median(lambda result: result.packhook_cost):.1f}", f"{median:.2f}", f"{lower:.2f} to {upper:.2f}",
        )  # fmt: skip
    return table


def _quartiles(values: list[float]) -> list[float]:
    return quantiles(values * 2 if len(values) == 1 else values, n=4, method="inclusive")


def _baseline_table(report: Report) -> Table:
    load = report.scenarios[0]
    table = _table("baseline", "per second", "CPU µs", "receiver µs", "packhook's rate", "packhook's CPU")
    for bare in report.baselines:
        table.add_row(
            f"bare {bare.name}",
            f"{bare.delivered:,.0f}",
            f"{bare.cost:.1f}",
            f"{bare.receiver:.1f}",
            f"{load.delivered / bare.delivered:.0%}",
            f"{load.packhook_cost / bare.cost:.2f} x",
        )
        table.add_row("  on packhook's CPU", f"{load.delivered * load.packhook_cost / bare.cost:,.0f}")
    return table


def _round_table(report: Report) -> Table:
    """Show the quartiles over the rounds."""
    table = _table(f"alternating with bare libcurl, {len(report.rounds)} rounds", "lower", "median", "upper")
    for name, form, value in _ROUND_ROWS:
        values = [value(round_) for round_ in report.rounds]
        table.add_row(name, *(form.format(quartile) for quartile in _quartiles(values)))
    return table


def _cost(name: str) -> Value:
    return lambda result: f"{result.cost[name]:.1f}" if name in result.cost else "-"


def _ms(of: Callable[[Result], float]) -> Value:
    return lambda result: f"{of(result):.2f}"


_SCENARIO_ROWS: Final[Sequence[tuple[str, Value]]] = (
    ("events", lambda result: f"{result.plan.events:,}"),
    ("requested per second", lambda result: f"{result.plan.rate:,.0f}" if result.plan.rate else "max"),
    ("accepted per second", lambda result: f"{result.accepted:,.0f}"),
    ("delivered per second", lambda result: f"{result.delivered:,.0f}"),
    ("peak in flight", lambda result: f"{result.backlog_peak:,}"),
    ("publish to receipt p50 ms", _ms(lambda result: result.latency.p50)),
    ("                   p95 ms", _ms(lambda result: result.latency.p95)),
    ("                   p99 ms", _ms(lambda result: result.latency.p99)),
    ("                   max ms", _ms(lambda result: result.latency.max)),
    ("publish to 202     p50 ms", _ms(lambda result: result.response_time.p50)),
    ("                   p99 ms", _ms(lambda result: result.response_time.p99)),
    ("CPU µs per delivery", lambda result: f"{result.packhook_cost:.1f}"),
    ("  node", _cost("node")),
    ("  of it in the kernel", _cost("kernel")),
    ("  database", _cost("database")),
    ("bytes of WAL per delivery", lambda result: "-" if result.wal is None else f"{result.wal:,.0f}"),
    ("not packhook: receiver", _cost("receiver")),
    ("              publisher", _cost("publisher")),
    ("              this command", _cost("bench")),
    ("cores: packhook", lambda result: f"{sum(result.cores.get(name, 0) for name in PACKHOOK_PROCESSES):.2f}"),
    ("       receiver, publisher", lambda result: f"{result.cores['receiver']:.2f}, {result.cores['publisher']:.2f}"),
    ("       others, stolen", lambda result: f"{result.cores['others']:.2f}, {result.cores['stolen']:.2f}"),
    ("peak memory MiB", lambda result: f"{result.memory.peak / 2**20:.0f}"),
    ("memory growth, bytes per delivery", lambda result: f"{result.memory.slope:+.0f}"),
    ("lost", lambda result: f"{result.loss.lost} of {result.loss.expected:,}"),
    ("badly signed", lambda result: str(result.loss.badly_signed)),
    ("wrong bodies", lambda result: str(result.loss.wrong_bodies)),
    ("duplicates", lambda result: str(result.loss.duplicates)),
)


_ROUND_ROWS: Final[Sequence[tuple[str, str, Callable[[Round], float]]]] = (
    ("delivered per second", "{:,.0f}", lambda round_: round_.delivered),
    ("bare libcurl", "{:,.0f}", lambda round_: round_.baseline_delivered),
    ("packhook's rate", "{:.0%}", lambda round_: round_.rate_ratio),
    ("CPU µs per delivery", "{:.1f}", lambda round_: round_.cost),
    ("bare libcurl", "{:.1f}", lambda round_: round_.baseline_cost),
    ("packhook's CPU", "{:.2f} x", lambda round_: round_.cpu_ratio),
)


def _bar_charts(result: Result) -> Group:
    peak = max(interval.delivered for interval in result.timeline)
    slowest = max(interval.p50 for interval in result.timeline)
    return Group(
        Text(f"{result.name}: deliveries per second over time, peak {peak:,.0f}", style="bold"),
        Text(_bars([interval.delivered for interval in result.timeline])),
        Text(f"{result.name}: p50 ms over time, peak {slowest:.1f}", style="bold"),
        Text(_bars([interval.p50 for interval in result.timeline])),
    )


def _bars(values: Sequence[float]) -> str:
    """Draw bars of block characters, six lines high."""
    peak = max(values) or 1.0
    steps = len(_BARS) - 1
    eighths = [round(value / peak * _HEIGHT * steps) for value in values]
    return "\n".join(
        "".join(_BARS[min(steps, max(0, eighth - row * steps))] for eighth in eighths)
        for row in reversed(range(_HEIGHT))
    )
