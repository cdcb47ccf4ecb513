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

from packhook.cli.bench.authority import Authority
from packhook.cli.bench.database import Databases
from packhook.cli.bench.figures import Figures, Memory, latency
from packhook.cli.bench.fill import fill
from packhook.cli.bench.ledger import backlog_growth, course, memory_slope, per_delivery, settle
from packhook.cli.bench.meter import Meter, Reading, peak_bytes
from packhook.cli.bench.node import Spent
from packhook.cli.bench.plan import Plan
from packhook.cli.bench.publish import Published
from packhook.cli.bench.sink import Noted
from packhook.cli.bench.stage import Node, Sink, nodes, publishers, sink, subscribe, subscribe_dead
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


async def measure(
    ground: Ground, name: str, plan: Plan, progress: Progress, *, sampled: bool = False
) -> tuple[Figures, list[Spent]]:
    """Run one scenario. ``sampled``: on nodes that also say where their CPU goes."""
    async with stage(ground, plan, progress, sampled=sampled) as load:
        figures = await load(name, plan)
        return figures, [await node.stop() for node in load.started]


@asynccontextmanager
async def stage(ground: Ground, plan: Plan, progress: Progress, *, sampled: bool = False) -> AsyncIterator["Load"]:
    """Nodes on a fresh database that are warm, and a receiver; for one load or several."""
    with tempfile.TemporaryDirectory(prefix="packhook-bench-") as temporary:
        folder = Path(temporary)
        async with (
            _database(ground, folder) as url,
            sink(plan, folder, ground.authority, ground.sabotage) as receiver,
        ):
            await _prepare(ground, url, plan, receiver, progress)
            async with nodes(url, plan.processes, ground.authority, sampled=sampled) as started:
                load = Load(ground, started, receiver, folder, progress)
                await load.warm_up(plan)
                yield load


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


class Load:
    """Publishes to nodes that stand, and says what it came to."""

    def __init__(self, ground: Ground, started: list[Node], receiver: Sink, folder: Path, progress: Progress) -> None:
        self.started = started
        self._receiver = receiver
        self._folder = folder
        self._patience = SABOTAGED_PATIENCE_SECONDS if ground.sabotage else PATIENCE_SECONDS
        self._is_sabotaged = bool(ground.sabotage)
        self._pids = [node.process.pid for node in started]
        self._meter = Meter(
            {
                "node": lambda: self._pids,
                "database": ground.databases.processes,
                "receiver": lambda: [receiver.process.pid],
                "bench": lambda: [os.getpid()],
            },
            lambda: progress(receiver.arrived),
        )

    async def warm_up(self, plan: Plan) -> None:
        """What nobody counts."""
        if self._is_sabotaged:
            return
        warm_up = plan.of(min(WARM_UP_EVENTS, plan.events // 10), rate=0, alone=False)
        async with publishers(warm_up, self.started, self._receiver, self._folder) as standing:
            await standing.publish()
        await self._receiver.wait_for(warm_up.deliveries, self._patience)
        await self._receiver.noted(self._folder / "noted")
        await self._meter.settle("node")

    async def __call__(self, name: str, plan: Plan) -> Figures:
        """Publish it all, wait until it has arrived and the nodes are quiet."""
        meter, receiver = self._meter, self._receiver
        async with publishers(plan, self.started, receiver, self._folder) as standing:
            for node in self.started:
                node.begin()
            meter.readings.clear()
            meter.read()
            metering = asyncio.create_task(meter.run())
            published = await standing.publish()
        await receiver.wait_for(len(published.ids) * plan.fan_out, self._patience)
        metering.cancel()
        with suppress(asyncio.CancelledError):
            await metering
        await meter.settle("node")
        noted = await receiver.noted(self._folder / "noted")
        return _figures(name, plan, _Ran(published, noted, meter.readings, sum(map(peak_bytes, self._pids))))


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
    spent["bench"] = max(0.0, spent["bench"] - published.cpu)  # they were its children, whose CPU it has when they end
    if not spent["database"]:
        del spent["database"]
    stolen = last.stolen - first.stolen
    others = max(0.0, last.machine - first.machine - sum(spent.values()))
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
