"""``packhook bench``: what an event costs on this machine, beside the floor, with every id accounted for."""

import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from packhook.cli.bench.authority import make_authority
from packhook.cli.bench.database import databases
from packhook.cli.bench.figures import Growth, Report
from packhook.cli.bench.grow import measure_growth
from packhook.cli.bench.measure import Ground
from packhook.cli.bench.parts import BESIDE, FLOOR, HALF, IDLE, PROFILE, measure_all
from packhook.cli.bench.plan import Plan
from packhook.cli.bench.report import show, write_json, write_svg
from packhook.cli.exits import Exit, fail

Sabotage = Literal["", "id", "signature", "body"]


def bench(
    events: Annotated[int, typer.Option(help="How many events to publish.", min=100)] = 20_000,
    rate: Annotated[float, typer.Option(help="Events a second, open-loop; 0: as fast as accepted.", min=0)] = 0.0,
    connections: Annotated[int, typer.Option(help="Publishers at once.", min=1, max=10_000)] = 64,
    batch: Annotated[int, typer.Option(help="Events in one publish.", min=1, max=1000)] = 1,
    payload: Annotated[int, typer.Option(help="Bytes of an event's data.", min=600, max=260_000)] = 1024,
    fan_out: Annotated[int, typer.Option(help="Webhooks that want each event.", min=1, max=1000)] = 1,
    webhooks: Annotated[int, typer.Option(help="Webhooks in all.", min=1, max=100_000)] = 1,
    window: Annotated[int, typer.Option(help="Events on their way at which publishing pauses.", min=1)] = 2_000,
    processes: Annotated[int, typer.Option(help="Nodes; more than one needs PostgreSQL.", min=1, max=64)] = 1,
    database: Annotated[str, typer.Option(help="A PostgreSQL to make databases on; absent: SQLite files.")] = "",
    postgres: Annotated[bool, typer.Option("--postgres", help="Start a PostgreSQL of its own.")] = False,
    tls: Annotated[bool, typer.Option("--tls", help="Receive over https.")] = False,
    floor: Annotated[bool, typer.Option(help="Whether to measure the bare sending beside it.")] = True,
    rounds: Annotated[
        int, typer.Option(help="Rounds of load and floor in turn (0: none), or of all steps of --grow.", min=0)
    ] = 11,
    beside: Annotated[bool, typer.Option("--beside", help="With PostgreSQL: SQLite, and one node, too.")] = False,
    half: Annotated[bool, typer.Option(help="Whether to measure the latency at half the load too.")] = True,
    idle: Annotated[bool, typer.Option(help="Whether to measure the latency when idle too.")] = True,
    profile: Annotated[bool, typer.Option(help="Whether to measure where the node's CPU goes too.")] = True,
    history: Annotated[int, typer.Option(help="Events delivered before it begins.", min=0)] = 0,
    backlog: Annotated[int, typer.Option(help="Deliveries that wait for dead webhooks meanwhile.", min=0)] = 0,
    grow: Annotated[bool, typer.Option("--grow", help="Instead: the cost as webhooks, backlog, history grow.")] = False,
    grow_to: Annotated[int, typer.Option(help="With --grow: no step larger than this; 0: all.", min=0)] = 0,
    far: Annotated[bool, typer.Option("--far", help="With --grow: ten million rows of history too.")] = False,
    memory_growth: Annotated[
        float | None, typer.Option(help="Fail where memory grows by more bytes for each delivery than this.")
    ] = None,
    sabotage: Annotated[Sabotage, typer.Option(help="Have the receiver find a fault, to see that it would.")] = "",
    json: Annotated[Path | None, typer.Option(help="Write everything to this file.")] = None,
    svg: Annotated[Path | None, typer.Option(help="Draw throughput and latency over time to this file.")] = None,
) -> None:
    """Measure this machine: rates, latencies, CPU for each event, loss. Exit 0 only if nothing was lost.

    Example: packhook bench --events 20000 --connections 64
    """
    _require_sense(database, processes, postgres=postgres, beside=beside)
    plan = Plan(
        rate=rate, connections=connections, batch=batch, payload=payload, fan_out=fan_out,
        webhooks=max(webhooks, fan_out), window=window, processes=processes, tls=tls, history=history, backlog=backlog,
    ).of(events)  # fmt: skip
    wanted = {FLOOR: floor, BESIDE: beside, HALF: half and not rate, IDLE: idle and not rate, PROFILE: profile}
    parts = {name for name, is_wanted in wanted.items() if is_wanted}

    async def work(ground: Ground) -> Report | Growth:
        return await (
            measure_growth(ground, plan, rounds, grow_to, far=far) if grow else measure_all(ground, plan, parts, rounds)
        )

    report = asyncio.run(_on_its_ground(work, database, postgres=postgres, tls=tls, sabotage=sabotage))
    _tell(report, json, svg)
    if not (report.is_good and _is_memory_flat(report, memory_growth)):
        raise typer.Exit(Exit.FAILED)


def _require_sense(database: str, processes: int, *, postgres: bool, beside: bool) -> None:
    if sys.platform != "linux":
        fail("bench counts CPU as Linux does, and runs there only", Exit.USAGE)
    if postgres and database:
        fail("--postgres starts a database of its own: leave --database out", Exit.USAGE)
    if database and not database.startswith("postgres"):
        fail("--database is a PostgreSQL's; without it, SQLite is measured", Exit.USAGE)
    if beside and not (database or postgres):
        fail("--beside needs --postgres or --database: without them it is SQLite that is measured", Exit.USAGE)
    if processes > 1 and not (database or postgres):
        fail("--processes needs --postgres or --database: one SQLite file serves one process", Exit.USAGE)


async def _on_its_ground(
    work: Callable[[Ground], Awaitable[Report | Growth]], database: str, *, postgres: bool, tls: bool, sabotage: str
) -> Report | Growth:
    with tempfile.TemporaryDirectory(prefix="packhook-bench-") as name:
        folder = Path(name)
        async with databases(database, folder, postgres=postgres) as found:
            return await work(Ground(found, make_authority(folder) if tls else None, sabotage))


def _tell(report: Report | Growth, json: Path | None, svg: Path | None) -> None:
    show(report, Console())
    if json is not None:
        write_json(report, json)
    if svg is not None:
        write_svg(report, svg)


def _is_memory_flat(report: Report | Growth, most: float | None) -> bool:
    """Whether no scenario's memory grew by more bytes for each delivery."""
    steep = [each for each in report.scenarios if most is not None and each.memory.slope > most]
    for each in steep:
        print(f"{each.name}: memory grew by {each.memory.slope:.0f} bytes for each delivery", file=sys.stderr)  # noqa: T201 this is the command line
    return not steep
