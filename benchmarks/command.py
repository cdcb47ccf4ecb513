"""The command ``python -m benchmarks events``: measure what an event costs, and account for every id."""

import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import compress
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from benchmarks.certificates import create_tls_files
from benchmarks.database import databases
from benchmarks.growth import measure_growth
from benchmarks.plan import Plan
from benchmarks.report import show, write_json, write_svg
from benchmarks.results import Growth, Report
from benchmarks.scenario import Environment
from benchmarks.suite import BASELINE, COMPARE, HALF_LOAD, IDLE, PROFILE, measure_all
from packhook.cli.exits import Exit, fail

Work = Callable[[Environment], Awaitable[Report | Growth]]
Sabotage = Literal["", "id", "signature", "body"]


def events(
    events: Annotated[int, typer.Option(help="Number of events to publish.", min=100)] = 20_000,
    rate: Annotated[float, typer.Option(help="Events per second, open-loop; 0: as fast as accepted.", min=0)] = 0.0,
    connections: Annotated[int, typer.Option(help="Concurrent publishers.", min=1, max=10_000)] = 64,
    batch: Annotated[int, typer.Option(help="Events per publish request.", min=1, max=1000)] = 1,
    payload: Annotated[int, typer.Option(help="Bytes of an event's data.", min=600, max=260_000)] = 1024,
    fan_out: Annotated[int, typer.Option(help="Webhooks that get each event.", min=1, max=1000)] = 1,
    webhooks: Annotated[int, typer.Option(help="Number of webhooks in total.", min=1, max=100_000)] = 1,
    window: Annotated[int, typer.Option(help="Events in flight at which publishing pauses.", min=1)] = 2_000,
    processes: Annotated[int, typer.Option(help="Nodes; more than one needs PostgreSQL.", min=1, max=64)] = 1,
    database: Annotated[str, typer.Option(help="PostgreSQL server to create databases on; default: SQLite.")] = "",
    postgres: Annotated[bool, typer.Option("--postgres", help="Start a PostgreSQL for this run.")] = False,
    plain_http: Annotated[bool, typer.Option("--plain-http", help="Receive over http instead of https.")] = False,
    baseline: Annotated[bool, typer.Option(help="Also measure a bare HTTP client.")] = True,
    rounds: Annotated[
        int, typer.Option(help="Rounds that alternate load and baseline (0: none), or the steps of --grow.", min=0)
    ] = 11,
    compare: Annotated[bool, typer.Option("--compare", help="With PostgreSQL: also SQLite, and one node.")] = False,
    at_half_load: Annotated[bool, typer.Option(help="Also measure the latency at half the rate.")] = True,
    idle: Annotated[bool, typer.Option(help="Also measure the latency of one event at a time.")] = True,
    profile: Annotated[bool, typer.Option(help="Also measure which layer of the node uses its CPU.")] = True,
    history: Annotated[int, typer.Option(help="Events delivered before the start.", min=0)] = 0,
    backlog: Annotated[int, typer.Option(help="Deliveries that wait for dead webhooks meanwhile.", min=0)] = 0,
    grow: Annotated[bool, typer.Option("--grow", help="Measure how the cost grows with the data instead.")] = False,
    grow_to: Annotated[int, typer.Option(help="With --grow: no step above this amount; 0: all.", min=0)] = 0,
    large_history: Annotated[bool, typer.Option("--large-history", help="With --grow: 10,000,000 old events.")] = False,
    memory_growth: Annotated[
        float | None, typer.Option(help="Fail if memory grows by more bytes per delivery than this.")
    ] = None,
    sabotage: Annotated[Sabotage, typer.Option(help="Cause a fault, to prove that the check finds it.")] = "",
    json: Annotated[Path | None, typer.Option(help="Write the report to this file as JSON.")] = None,
    svg: Annotated[Path | None, typer.Option(help="Draw throughput and latency over time to this file.")] = None,
) -> None:
    """Measure this machine: rates, latencies, CPU per event, loss. Exit 0 only if nothing was lost.

    Example: python -m benchmarks --events 20000 --connections 64
    """
    _check_options(database, processes, postgres=postgres, compare=compare)
    plan = Plan(
        rate=rate, connections=connections, batch=batch, payload=payload, fan_out=fan_out,
        webhooks=max(webhooks, fan_out), window=window, processes=processes, tls=not plain_http, history=history,
        backlog=backlog,
    ).replace(events)  # fmt: skip
    names = (BASELINE, COMPARE, HALF_LOAD, IDLE, PROFILE)
    selected = (baseline, compare, at_half_load and not rate, idle and not rate, profile)
    work: Work
    if grow:
        work = partial(measure_growth, plan=plan, rounds=rounds, limit=grow_to, large_history=large_history)
    else:
        work = partial(measure_all, plan=plan, parts=set(compress(names, selected)), rounds=rounds)
    report = asyncio.run(_with_environment(work, database, postgres=postgres, tls=plan.tls, sabotage=sabotage))
    _output(report, json, svg)
    if not (report.is_good and _is_memory_flat(report, memory_growth)):
        raise typer.Exit(Exit.FAILED)


def _check_options(database: str, processes: int, *, postgres: bool, compare: bool) -> None:
    if sys.platform != "linux":
        fail("the benchmark reads CPU times from the Linux kernel, and runs on Linux only", Exit.USAGE)
    if postgres and database:
        fail("--postgres starts a database of its own: omit --database", Exit.USAGE)
    if database and not database.startswith("postgres"):
        fail("--database must be a postgresql:// URL; without it, SQLite is measured", Exit.USAGE)
    if compare and not (database or postgres):
        fail("--compare needs --postgres or --database: without them only SQLite is measured", Exit.USAGE)
    if processes > 1 and not (database or postgres):
        fail("--processes needs --postgres or --database: one SQLite file serves one process", Exit.USAGE)


async def _with_environment(work: Work, database: str, *, postgres: bool, tls: bool, sabotage: str) -> Report | Growth:
    with tempfile.TemporaryDirectory(prefix="packhook-bench-") as name:
        folder = Path(name)
        async with databases(database, folder, postgres=postgres) as created:
            return await work(Environment(created, create_tls_files(folder) if tls else None, sabotage))


def _output(report: Report | Growth, json: Path | None, svg: Path | None) -> None:
    show(report, Console())
    if json is not None:
        write_json(report, json)
    if svg is not None:
        write_svg(report, svg)


def _is_memory_flat(report: Report | Growth, limit: float | None) -> bool:
    """Tell whether no scenario's memory grew by more bytes per delivery than ``limit``; print those that did."""
    steep = [result for result in report.scenarios if limit is not None and result.memory.slope > limit]
    for result in steep:
        typer.echo(f"{result.name}: memory grew by {result.memory.slope:.0f} bytes per delivery", err=True)
    return not steep
