"""The report for people: tables, and a picture of the run in characters."""

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import quantiles
from typing import Final

import msgspec
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from packhook.cli.bench.figures import OURS, Figures, Growth, Report, Turn
from packhook.cli.bench.picture import course_panels, draw, growth_panels

NEAR_ITS_LIMIT: Final = 0.85
A_DISTURBANCE: Final = 0.15  # of a core
_BARS: Final = " ▁▂▃▄▅▆▇█"
_HEIGHT: Final = 6

Value = Callable[[Figures], str]


def show(report: Report | Growth, console: Console) -> None:
    """Everything, as tables and a picture; then what a reader must know before believing a figure."""
    parts: list[RenderableType] = [_machine(report)]
    if isinstance(report, Growth):
        parts.append(_growth(report))
    else:
        parts.append(_costs(report))
        if report.floors:
            parts.append(_beside(report))
        if report.turns:
            parts.append(_in_turn(report))
        parts += [_picture(each) for each in report.scenarios if len(each.course) > 1 and not each.plan.rate]
    for part in parts:
        console.print(part)
        console.print()
    for remark in remarks(report):
        console.print(remark)


def write_json(report: Report | Growth, file: Path) -> None:
    """The same for machines; what follows from the figures stands with them."""
    told = msgspec.to_builtins(report)
    grown = [each for step in told.get("steps", ()) for each in step["rounds"]]
    scenarios = grown if isinstance(report, Growth) else told["scenarios"]
    for written, each in zip(scenarios, report.scenarios, strict=True):
        written |= {"cost_of_ours": each.cost_of_ours, "is_flat": each.is_flat}
    if isinstance(report, Report):
        for written, turn in zip(told["turns"], report.turns, strict=True):
            written |= {"rate": turn.rate, "cpu": turn.cpu}
    else:
        for written, step in zip(told["steps"], report.steps, strict=True):
            written["times"] = dict(zip(("lower", "median", "upper"), _quartiles(report.over(step)), strict=True))
    told["is_good"] = report.is_good
    file.write_bytes(msgspec.json.format(msgspec.json.encode(told), indent=2))


def write_svg(report: Report | Growth, file: Path) -> None:
    """Throughput, latency and memory over time; or cost and latency as work grows."""
    panels = growth_panels(report) if isinstance(report, Growth) else course_panels(report)
    file.write_text(draw(panels), "utf-8")


def remarks(report: Report | Growth) -> list[str]:
    """What a reader must know before believing a figure."""
    bare = [] if isinstance(report, Growth) else report.floors
    said = [] if isinstance(report, Growth) else list(report.without)
    for each in report.scenarios:
        said += [
            f"{each.name}: the {name} was busy for {each.cores[name]:.0%} of a core: it may have been the limit"
            for name in ("receiver", "publisher")
            if each.cores[name] > NEAR_ITS_LIMIT
        ]
        disturbed = each.cores["others"] + each.cores["stolen"]
        if disturbed > A_DISTURBANCE:
            said.append(f"{each.name}: others on this machine had {disturbed:.2f} cores: do not trust these figures")
        if not each.is_flat:
            said.append(f"{each.name}: the backlog grew by {each.backlog_growth:,.0f} deliveries a second")
        if each.refused:
            said.append(f"{each.name}: publishes that were not accepted: {each.refused}")
        if not each.loss.is_none:
            said.append(f"{each.name}: NOT GOOD: {each.loss}")
    turns = [] if isinstance(report, Growth) else report.turns
    said += [f"{each.name}: NOT GOOD: {each.loss}" for each in bare if not each.loss.is_none]
    return said + [f"in turn: NOT GOOD: {loss}" for turn in turns for loss in turn.losses if not loss.is_none]


def _table(*heads: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, head in enumerate(heads):
        table.add_column(head, justify="right" if number else "left")
    return table


def _machine(report: Report | Growth) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in report.machine.items():
        table.add_row(name, value)
    return table


def _costs(report: Report) -> Table:
    table = _table("", *(each.name for each in report.scenarios))
    for name, value in _ROWS:
        table.add_row(name, *(value(each) for each in report.scenarios))
        if name == "  node" and report.split is not None:
            for layer, cost in report.split.layers.items():
                table.add_row(f"    {layer}", f"{cost:.1f}")
    if report.split is not None:
        table.add_row("sampling cost, in the profile", f"{report.split.sampler:.1f}")
    if report.split is not None and report.split.statements is not None:
        table.add_row("statements for 100 deliveries", f"{report.split.statements:.1f}")
    return table


def _growth(growth: Growth) -> Table:
    """What each step cost, the median of its rounds, and how many times the first of its kind in the same round."""
    table = _table("as it grows", "", "a second", "p50 ms", "p99 ms", "CPU µs", "times", "of half the rounds")
    for step in growth.steps:
        lower, median, upper = _quartiles(growth.over(step))
        table.add_row(
            step.axis, f"{step.amount:,}", f"{step.median(lambda each: each.delivered):,.0f}",
            f"{step.median(lambda each: each.latency.p50):.1f}", f"{step.median(lambda each: each.latency.p99):.1f}",
            f"{step.median(lambda each: each.cost_of_ours):.1f}", f"{median:.2f}", f"{lower:.2f} to {upper:.2f}",
        )  # fmt: skip
    return table


def _quartiles(values: list[float]) -> list[float]:
    return quantiles(values * 2 if len(values) == 1 else values, n=4, method="inclusive")


def _beside(report: Report) -> Table:
    first = report.scenarios[0]
    table = _table("beside", "a second", "CPU µs", "receiver µs", "our rate", "our CPU")
    for bare in report.floors:
        table.add_row(
            f"bare {bare.name}",
            f"{bare.delivered:,.0f}",
            f"{bare.cost:.1f}",
            f"{bare.receiver:.1f}",
            f"{first.delivered / bare.delivered:.0%}",
            f"{first.cost_of_ours / bare.cost:.2f} x",
        )
        table.add_row("  on packhook's CPU", f"{first.delivered * first.cost_of_ours / bare.cost:,.0f}")
    return table


def _in_turn(report: Report) -> Table:
    """The middle of the rounds, and between which values the middle half of them lies."""
    table = _table(f"in turn with bare libcurl, {len(report.turns)} rounds", "lower", "median", "upper")
    for name, form, value in _IN_TURN:
        values = [value(each) for each in report.turns]
        lower, median, upper = _quartiles(values)
        table.add_row(name, *(form.format(each) for each in (lower, median, upper)))
    return table


def _cost(name: str) -> Value:
    return lambda each: f"{each.cost[name]:.1f}" if name in each.cost else "-"


def _ms(of: Callable[[Figures], float]) -> Value:
    return lambda each: f"{of(each):.2f}"


_ROWS: Final[Sequence[tuple[str, Value]]] = (
    ("events", lambda each: f"{each.plan.events:,}"),
    ("asked for a second", lambda each: f"{each.plan.rate:,.0f}" if each.plan.rate else "all"),
    ("accepted a second", lambda each: f"{each.accepted:,.0f}"),
    ("delivered a second", lambda each: f"{each.delivered:,.0f}"),
    ("most on their way", lambda each: f"{each.backlog_most:,}"),
    ("publish to receipt p50 ms", _ms(lambda each: each.latency.p50)),
    ("                   p95 ms", _ms(lambda each: each.latency.p95)),
    ("                   p99 ms", _ms(lambda each: each.latency.p99)),
    ("                   max ms", _ms(lambda each: each.latency.max)),
    ("publish to 202     p50 ms", _ms(lambda each: each.answered.p50)),
    ("                   p99 ms", _ms(lambda each: each.answered.p99)),
    ("CPU µs for one delivery", lambda each: f"{each.cost_of_ours:.1f}"),
    ("  node", _cost("node")),
    ("  of it in the kernel", _cost("kernel")),
    ("  database", _cost("database")),
    ("not ours: receiver", _cost("receiver")),
    ("          publisher", _cost("publisher")),
    ("          this command", _cost("bench")),
    ("cores: ours", lambda each: f"{sum(each.cores.get(name, 0) for name in OURS):.2f}"),
    ("       receiver, publisher", lambda each: f"{each.cores['receiver']:.2f}, {each.cores['publisher']:.2f}"),
    ("       others, stolen", lambda each: f"{each.cores['others']:.2f}, {each.cores['stolen']:.2f}"),
    ("peak memory MiB", lambda each: f"{each.memory.peak / 2**20:.0f}"),
    ("memory's growth, bytes for one", lambda each: f"{each.memory.slope:+.0f}"),
    ("lost", lambda each: f"{each.loss.lost} of {each.loss.expected:,}"),
    ("badly signed", lambda each: str(each.loss.badly_signed)),
    ("wrong bodies", lambda each: str(each.loss.wrong_bodies)),
    ("arrived twice", lambda each: str(each.loss.duplicates)),
)


_IN_TURN: Final[Sequence[tuple[str, str, Callable[[Turn], float]]]] = (
    ("delivered a second", "{:,.0f}", lambda each: each.delivered),
    ("bare libcurl", "{:,.0f}", lambda each: each.bare_delivered),
    ("our rate", "{:.0%}", lambda each: each.rate),
    ("CPU µs for one delivery", "{:.1f}", lambda each: each.cost),
    ("bare libcurl", "{:.1f}", lambda each: each.bare_cost),
    ("our CPU", "{:.2f} x", lambda each: each.cpu),
)


def _picture(scenario: Figures) -> Group:
    most = max(moment.delivered for moment in scenario.course)
    slowest = max(moment.p50 for moment in scenario.course)
    return Group(
        Text(f"{scenario.name}: delivered a second over time, at most {most:,.0f}", style="bold"),
        Text(_bars([moment.delivered for moment in scenario.course])),
        Text(f"{scenario.name}: p50 ms over time, at most {slowest:.1f}", style="bold"),
        Text(_bars([moment.p50 for moment in scenario.course])),
    )


def _bars(values: Sequence[float]) -> str:
    """Bars of block characters, a few lines high."""
    most = max(values) or 1.0
    steps = len(_BARS) - 1
    eighths = [round(value / most * _HEIGHT * steps) for value in values]
    return "\n".join(
        "".join(_BARS[min(steps, max(0, each - row * steps))] for each in eighths) for row in reversed(range(_HEIGHT))
    )
