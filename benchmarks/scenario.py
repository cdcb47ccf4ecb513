"""Measure one scenario, from an empty database to its result.

::

    nodes, receiver ─▶ subscribe ─▶ warm up ─▶ publishers ─▶ all arrived ─▶ nodes idle ─▶ compare the logs
"""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.accounting import backlog_growth, memory_slope, per_delivery, reconcile, timeline
from benchmarks.certificates import TlsFiles
from benchmarks.database import Databases
from benchmarks.plan import Plan
from benchmarks.preload import preload
from benchmarks.process_meter import ProcessMeter, Reading, peak_bytes
from benchmarks.processes import Node, Receiver, nodes, publishers, receiver, subscribe, subscribe_dead
from benchmarks.profiled_node import LayerCpu
from benchmarks.publishers import PublishLog
from benchmarks.receiver import ReceiptLog
from benchmarks.results import Memory, Result, latency
from packhook.core.errors import StartError

PATIENCE_SECONDS: Final = 30.0
SABOTAGED_PATIENCE_SECONDS: Final = 2.0
WARM_UP_EVENTS: Final = 500

Progress = Callable[[int], None]


class Environment(NamedTuple):
    """Hold what all scenarios of a run share. ``tls`` is None for plain HTTP."""

    databases: Databases
    tls: TlsFiles | None = None
    sabotage: str = ""


class _Run(NamedTuple):
    published: PublishLog
    received: ReceiptLog
    readings: list[Reading]
    peak: int
    wal: int | None


async def measure(
    environment: Environment, name: str, plan: Plan, progress: Progress, *, profiled: bool = False
) -> tuple[Result, list[LayerCpu]]:
    """Run one scenario. ``profiled``: on nodes with a profiler, whose profiles are returned too."""
    async with prepared(environment, plan, progress, profiled=profiled) as load:
        result = await load(name, plan)
        return result, [await node.stop() for node in load.started]


@asynccontextmanager
async def prepared(
    environment: Environment, plan: Plan, progress: Progress, *, profiled: bool = False
) -> AsyncIterator["Load"]:
    """Start a receiver and warm nodes on a fresh database, for one load or several."""
    with tempfile.TemporaryDirectory(prefix="packhook-bench-") as temporary:
        folder = Path(temporary)
        async with (
            _database(environment, folder) as url,
            receiver(plan, folder, environment.tls, environment.sabotage) as started_receiver,
        ):
            await _prepare_data(environment, url, plan, started_receiver, progress)
            async with nodes(url, plan.processes, environment.tls, profiled=profiled) as started:
                load = Load(environment, started, started_receiver, folder, progress)
                await load.warm_up(plan)
                yield load


@asynccontextmanager
async def _database(environment: Environment, folder: Path) -> AsyncIterator[str]:
    url = await environment.databases.create(folder)
    try:
        yield url
    finally:
        await environment.databases.drop(url)


async def _prepare_data(environment: Environment, url: str, plan: Plan, receiver: Receiver, progress: Progress) -> None:
    """Create organizations and webhooks through a node, then write history and backlog into the database."""
    async with nodes(url, 1, environment.tls) as started:
        live = await subscribe(started[0], receiver.url, plan)
        dead = await subscribe_dead(started[0]) if plan.backlog else []
        await started[0].stop()
    if plan.history or plan.backlog:
        await preload(url, plan, live, dead, lambda done: progress(done % plan.deliveries))


class Load:
    """Publish a plan to running nodes and return its result; can be called several times."""

    def __init__(
        self, environment: Environment, started: list[Node], receiver: Receiver, folder: Path, progress: Progress
    ) -> None:
        self.started = started
        self._receiver = receiver
        self._folder = folder
        self._patience = SABOTAGED_PATIENCE_SECONDS if environment.sabotage else PATIENCE_SECONDS
        self._is_sabotaged = bool(environment.sabotage)
        self._databases = environment.databases
        self._pids = [node.process.pid for node in started]
        self._meter = ProcessMeter(
            {
                "node": lambda: self._pids,
                "database": environment.databases.processes,
                "receiver": lambda: [receiver.process.pid],
                "bench": lambda: [os.getpid()],
            },
            lambda: progress(receiver.arrived),
        )

    async def warm_up(self, plan: Plan) -> None:
        """Publish up to 500 events that are not measured."""
        if self._is_sabotaged:
            return
        warm_up = plan.replace(min(WARM_UP_EVENTS, plan.events // 10), rate=0, sequential=False)
        async with publishers(warm_up, self.started, self._receiver, self._folder) as connected:
            await connected.publish()
        await self._receiver.wait_for(warm_up.deliveries, self._patience)
        await self._receiver.take_log(self._folder / "received")
        await self._meter.wait_until_idle("node")

    async def __call__(self, name: str, plan: Plan) -> Result:
        """Publish everything, wait until it has arrived and the nodes are idle, and return the result."""
        meter, receiver = self._meter, self._receiver
        async with publishers(plan, self.started, receiver, self._folder) as connected:
            for node in self.started:
                node.reset_profile()
            meter.readings.clear()
            meter.read()
            wal_before = await self._databases.wal_bytes()
            metering = asyncio.create_task(meter.run())
            published = await connected.publish()
        await receiver.wait_for(len(published.ids) * plan.fan_out, self._patience)
        metering.cancel()
        with suppress(asyncio.CancelledError):
            await metering
        await meter.wait_until_idle("node")
        wal_after = await self._databases.wal_bytes()
        wal = None if wal_before is None or wal_after is None else wal_after - wal_before
        received = await receiver.take_log(self._folder / "received")
        return _result(name, plan, _Run(published, received, meter.readings, sum(map(peak_bytes, self._pids)), wal))


def _result(name: str, plan: Plan, run: _Run) -> Result:
    published = run.published
    if not published.ids:
        raise StartError(f"no event was accepted: {published.refused}")
    arrivals, loss = reconcile(plan, published, run.received)
    intervals = timeline(plan, published, arrivals)
    started = min(published.due)
    seconds = (arrivals[-1].at if arrivals else max(published.accepted)) - started
    first, last = run.readings[0], run.readings[-1]
    kernel = last.kernel["node"] - first.kernel["node"]
    spent, unrelated = _cpu_seconds(first, last, published.cpu)
    memory = [(reading.at - started, reading.memory["node"]) for reading in run.readings]
    return Result(
        name=name,
        plan=plan,
        seconds=seconds,
        accepted=len(published.ids) / max(max(published.accepted) - started, 1e-9),
        delivered=len(arrivals) / max(seconds, 1e-9),
        latency=latency([arrival.latency for arrival in arrivals]),
        response_time=latency(published.response_times),
        cost=per_delivery(spent | {"kernel": kernel}, len(arrivals)),
        cores={group: used / max(last.at - first.at, 1e-9) for group, used in (spent | unrelated).items()},
        memory=Memory(
            peak=run.peak,
            timeline=memory,
            slope=memory_slope([(reading.at, reading.memory["node"]) for reading in run.readings], arrivals),
        ),
        loss=loss,
        refused=published.refused,
        backlog_peak=max((interval.backlog for interval in intervals), default=0),
        backlog_growth=backlog_growth(intervals),
        timeline=intervals,
        wal=None if run.wal is None else run.wal / max(1, len(arrivals)),
    )


def _cpu_seconds(first: Reading, last: Reading, publisher: float) -> tuple[dict[str, float], dict[str, float]]:
    """Return the CPU seconds of the benchmark's processes by group, and those of others and of a hypervisor."""
    spent = {group: last.cpu[group] - first.cpu[group] for group in last.cpu} | {"publisher": publisher}
    spent["bench"] = max(0.0, spent["bench"] - publisher)  # this command waited for its child, the publishers
    if not spent["database"]:
        del spent["database"]
    others = max(0.0, last.machine - first.machine - sum(spent.values()))
    return spent, {"others": others, "stolen": last.stolen - first.stolen}
