"""One scenario, from an empty database to its figures.

::

    nodes, sink ─▶ subscribe ─▶ warm up ─▶ publishers ─▶ everything arrived ─▶ settled ─▶ what the ledgers say
"""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from packhook.cli.bench.authority import Authority
from packhook.cli.bench.database import Databases
from packhook.cli.bench.figures import Figures, Memory, latency
from packhook.cli.bench.fill import fill
from packhook.cli.bench.ledger import backlog_growth, course, memory_slope, per_delivery, settle
from packhook.cli.bench.meter import Meter, Reading, peak_bytes
from packhook.cli.bench.node import Spent
from packhook.cli.bench.plan import Plan
from packhook.cli.bench.publish import Order, Published
from packhook.cli.bench.sink import Noted
from packhook.cli.bench.stage import Node, Sink, nodes, run_module, sink, subscribe, subscribe_dead
from packhook.core.errors import StartError

PATIENCE_SECONDS: Final = 30.0
SABOTAGED_PATIENCE_SECONDS: Final = 2.0
WARM_UP_EVENTS: Final = 500

Progress = Callable[[int], None]


class Ground(NamedTuple):
    """What all scenarios of a run stand on."""

    databases: Databases
    authority: Authority | None = None
    sabotage: str = ""


class _Ran(NamedTuple):
    published: Published
    noted: Noted
    readings: list[Reading]
    peak: int
    spent: list[Spent]


async def measure(
    ground: Ground, name: str, plan: Plan, progress: Progress, *, sampled: bool = False
) -> tuple[Figures, list[Spent]]:
    """Run one scenario. ``sampled``: on nodes that also say where their CPU goes."""
    with tempfile.TemporaryDirectory(prefix="packhook-bench-") as temporary:
        folder = Path(temporary)
        async with (
            _database(ground, folder) as url,
            sink(plan, folder, ground.authority, ground.sabotage) as receiver,
        ):
            await _prepare(ground, url, plan, receiver, progress)
            async with nodes(url, plan.processes, ground.authority, sampled=sampled) as started:
                ran = await _run(ground, plan, started, receiver, folder, progress)
    return _figures(name, plan, ran), ran.spent


@asynccontextmanager
async def _database(ground: Ground, folder: Path) -> AsyncIterator[str]:
    url = await ground.databases.create(folder)
    try:
        yield url
    finally:
        await ground.databases.drop(url)


async def _prepare(ground: Ground, url: str, plan: Plan, receiver: Sink, progress: Progress) -> None:
    """Organizations and webhooks through a node's API; what was there before straight into the database."""
    async with nodes(url, 1, ground.authority) as started:
        live = await subscribe(started[0], receiver.url, plan)
        dead = await subscribe_dead(started[0]) if plan.backlog else []
        await started[0].stop()
    if plan.history or plan.backlog:
        await fill(url, plan, live, dead, lambda done: progress(done % plan.deliveries))


async def _run(
    ground: Ground, plan: Plan, started: list[Node], receiver: Sink, folder: Path, progress: Progress
) -> _Ran:
    pids = [node.process.pid for node in started]
    meter = Meter(
        {
            "node": lambda: pids,
            "database": ground.databases.processes,
            "receiver": lambda: [receiver.process.pid],
            "bench": lambda: [os.getpid()],
        },
        lambda: progress(receiver.arrived),
    )
    patience = SABOTAGED_PATIENCE_SECONDS if ground.sabotage else PATIENCE_SECONDS
    if not ground.sabotage:
        warm_up = plan.of(min(WARM_UP_EVENTS, plan.events // 10), rate=0, alone=False)
        await _publish(warm_up, started, receiver, folder)
        await receiver.wait_for(warm_up.deliveries, patience)
        await receiver.noted(folder / "noted")
        await meter.settle("node")
    for node in started:
        node.begin()
    meter.readings.clear()
    meter.read()
    metering = asyncio.create_task(meter.run())
    published = await _publish(plan, started, receiver, folder)
    await receiver.wait_for(len(published.ids) * plan.fan_out, patience)
    metering.cancel()
    with suppress(asyncio.CancelledError):
        await metering
    await meter.settle("node")
    noted = await receiver.noted(folder / "noted")
    peak = sum(map(peak_bytes, pids))
    return _Ran(published, noted, meter.readings, peak, [await node.stop() for node in started])


async def _publish(plan: Plan, started: list[Node], receiver: Sink, folder: Path) -> Published:
    file = folder / "published"
    places = [(node.host, node.port) for node in started]
    order = Order(plan=plan, nodes=places, counter=str(receiver.counter), file=str(file))
    await run_module("packhook.cli.bench.publish", msgspec.json.encode(order).decode(), "the publishers gave up")
    return msgspec.msgpack.decode(file.read_bytes(), type=Published)


def _figures(name: str, plan: Plan, ran: _Ran) -> Figures:
    published = ran.published
    if not published.ids:
        raise StartError(f"nothing was accepted: {published.refused}")
    arrivals, loss = settle(plan, published, ran.noted)
    moments = course(plan, published, arrivals)
    began = min(published.due)
    seconds = (arrivals[-1].at if arrivals else max(published.accepted)) - began
    first, last = ran.readings[0], ran.readings[-1]
    spent = {each: last.cpu[each] - first.cpu[each] for each in last.cpu} | {"publisher": published.cpu}
    if not spent["database"]:
        del spent["database"]
    stolen = last.stolen - first.stolen
    others = max(0.0, last.machine - first.machine - sum(spent.values()) - published.cpu_before)
    kernel = last.kernel["node"] - first.kernel["node"]
    memory = [(reading.at - began, reading.memory["node"]) for reading in ran.readings]
    return Figures(
        name=name,
        plan=plan,
        seconds=seconds,
        accepted=len(published.ids) / max(max(published.accepted) - began, 1e-9),
        delivered=len(arrivals) / max(seconds, 1e-9),
        latency=latency([each.took for each in arrivals]),
        answered=latency(published.answered_in),
        cost=per_delivery(spent | {"kernel": kernel}, len(arrivals)),
        cores={
            each: used / max(last.at - first.at, 1e-9)
            for each, used in (spent | {"others": others, "stolen": stolen}).items()
        },
        memory=Memory(
            peak=ran.peak,
            course=memory,
            slope=memory_slope([(reading.at, reading.memory["node"]) for reading in ran.readings], arrivals),
        ),
        loss=loss,
        refused=published.refused,
        backlog_most=max((each.backlog for each in moments), default=0),
        backlog_growth=backlog_growth(moments),
        course=moments,
    )
