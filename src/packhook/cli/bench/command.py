"""``packhook bench``: what an event costs on this machine, beside the floor, with every id accounted for."""

import asyncio
import platform
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from packhook import __version__
from packhook.cli.bench.figures import FloorFigures, Report
from packhook.cli.bench.measure import measure, measure_floor
from packhook.cli.bench.plan import Plan
from packhook.cli.bench.report import show, write_json, write_svg
from packhook.cli.exits import Exit, fail

IDLE_RATE: Final = 50.0
IDLE_EVENTS: Final = 300


def bench(
    events: Annotated[int, typer.Option(help="How many events to publish.", min=100)] = 20_000,
    rate: Annotated[float, typer.Option(help="Events a second, open-loop; 0: as fast as accepted.", min=0)] = 0.0,
    connections: Annotated[int, typer.Option(help="Publishers at once.", min=1, max=10_000)] = 64,
    batch: Annotated[int, typer.Option(help="Events in one publish.", min=1, max=1000)] = 1,
    payload: Annotated[int, typer.Option(help="Bytes of an event's data.", min=600, max=260_000)] = 1024,
    fan_out: Annotated[int, typer.Option(help="Webhooks that want each event.", min=1, max=1000)] = 1,
    webhooks: Annotated[int, typer.Option(help="Webhooks in all.", min=1, max=10_000)] = 1,
    processes: Annotated[int, typer.Option(help="Nodes; more than one needs PostgreSQL.", min=1, max=64)] = 1,
    database: Annotated[str, typer.Option(help="An empty database; absent: a new SQLite file.")] = "",
    floor: Annotated[bool, typer.Option(help="Whether to measure the bare sending beside it.")] = True,
    idle: Annotated[bool, typer.Option(help="Whether to measure the latency when idle too.")] = True,
    json: Annotated[Path | None, typer.Option(help="Write everything to this file.")] = None,
    svg: Annotated[Path | None, typer.Option(help="Draw throughput and latency over time to this file.")] = None,
) -> None:
    """Measure this machine: rates, latencies, CPU for each event, loss. Exit 0 only if nothing was lost.

    Example: packhook bench --events 20000 --connections 64
    """
    if processes > 1 and not database:
        fail("--processes needs --database postgresql://…: one SQLite file serves one process", Exit.USAGE)
    if webhooks < fan_out:
        webhooks = fan_out
    plan = Plan(
        events=max(1, events // batch) * batch, rate=rate, connections=connections, batch=batch, payload=payload,
        fan_out=fan_out, webhooks=webhooks, processes=processes,
    )  # fmt: skip
    report = asyncio.run(_measure_all(plan, database, floor=floor, idle=idle and not rate))
    show(report, Console())
    if json is not None:
        write_json(report, json)
    if svg is not None:
        write_svg(report, svg)
    if not report.is_good:
        raise typer.Exit(Exit.FAILED)


async def _measure_all(plan: Plan, database: str, *, floor: bool, idle: bool) -> Report:
    scenarios = {"load": plan}
    if idle:
        scenarios["idle"] = msgspec.structs.replace(plan, events=IDLE_EVENTS, rate=IDLE_RATE, batch=1, connections=4)
    bare: FloorFigures | None = None
    figures = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        if floor:
            task = progress.add_task("floor", total=None)
            bare = await measure_floor(plan)
            progress.update(task, total=plan.events, completed=plan.events)
        for name, each in scenarios.items():
            task = progress.add_task(name, total=each.deliveries)
            figures.append(
                await measure(name, each, database, lambda done, task=task: progress.update(task, completed=done))  # type: ignore[misc] # mypy cannot see the default
            )
    return Report(machine=_machine(), floor=bare, scenarios=figures)


def _machine() -> dict[str, str]:
    return {
        "packhook": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": _processor(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(models)} x {models[0]}" if models else platform.processor()
