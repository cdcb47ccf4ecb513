"""One scenario, from an empty database to its figures.

::

    nodes, sink ─▶ subscribe ─▶ publishers ─▶ everything arrived ─▶ nodes stopped ─▶ what the ledgers say
"""

import asyncio
import signal
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from packhook.cli.bench.figures import Figures, FloorFigures, Latency, Moment, latency
from packhook.cli.bench.floor import Floor
from packhook.cli.bench.floor import Order as FloorOrder
from packhook.cli.bench.meter import Meter, Reading
from packhook.cli.bench.node import Spent
from packhook.cli.bench.plan import Plan
from packhook.cli.bench.publish import Order, Published
from packhook.cli.bench.sink import Noted
from packhook.cli.bench.stage import Node, Sink, nodes, sink, start_module, subscribe

PATIENCE_SECONDS: Final = 30.0
STRETCHES: Final = 60
MICRO: Final = 1_000_000

Progress = Callable[[int], None]


async def measure_floor(plan: Plan) -> FloorFigures:
    """The same number of bodies, signed and posted by the bare library."""
    async with sink() as receiver:
        order = FloorOrder(plan=plan, url=f"{receiver.url}/floor")
        process = await start_module("floor", msgspec.json.encode(order).decode())
        told, _ = await process.communicate()
    floor = msgspec.json.decode(told, type=Floor)
    return FloorFigures(delivered=floor.requests / floor.seconds, cost=floor.cpu / floor.requests * MICRO)


async def measure(name: str, plan: Plan, database: str, progress: Progress) -> Figures:
    """Run one scenario. An empty ``database`` is a new SQLite file."""
    with tempfile.TemporaryDirectory(prefix="packhook-bench-") as temporary:
        folder = Path(temporary)
        url = database or f"sqlite:///{folder / 'packhook.db'}"
        async with sink() as receiver, nodes(url, plan.processes) as started:
            await subscribe(started[0], receiver.url, plan)
            meter = Meter(
                {"node": [node.process.pid for node in started], "receiver": [receiver.process.pid]},
                lambda: receiver.arrived,
            )
            for node in started:
                node.process.send_signal(signal.SIGUSR1)
            published = await _run(plan, started, receiver, meter, folder, progress)
            noted = await receiver.noted(folder / "noted")
            spent = [await node.stop() for node in started]
    return _figures(name, plan, published, noted, meter.readings, spent)


async def _run(
    plan: Plan, started: list[Node], receiver: Sink, meter: Meter, folder: Path, progress: Progress
) -> Published:
    order = Order(plan=plan, nodes=[(node.host, node.port) for node in started], file=str(folder / "published"))
    meter.read()
    metering = asyncio.create_task(meter.run())
    process = await start_module("publish", msgspec.json.encode(order).decode())
    assert process.stdin is not None  # noqa: S101 it was started with a pipe
    pipe = process.stdin

    def tell(arrived: int) -> None:
        progress(arrived)
        if not pipe.is_closing():
            pipe.write(f"{arrived}\n".encode())

    receiver.listeners.append(tell)
    await process.wait()
    await receiver.wait_for(plan.deliveries, PATIENCE_SECONDS)
    meter.read()
    metering.cancel()
    with suppress(asyncio.CancelledError):
        await metering
    return msgspec.msgpack.decode(Path(order.file).read_bytes(), type=Published)  # noqa: ASYNC240 nothing else goes on


def _figures(
    name: str, plan: Plan, published: Published, noted: Noted, readings: list[Reading], spent: list[Spent]
) -> Figures:
    took = [
        (arrived_at, arrived_at - published.at[event_id])
        for event_id, arrived_at in ((where.rpartition(" ")[2], at) for where, at in noted.first.items())
        if event_id in published.at
    ]
    took.sort()
    began, ended = min(published.at.values()), max(at for at, _ in took)
    last_published = max(published.at.values())
    before, after = readings[0], readings[-1]
    ours = after.cpu["node"] - before.cpu["node"]
    return Figures(
        name=name,
        plan=plan,
        accepted=len(published.at) / max(last_published - began, 1e-9),
        delivered=len(took) / (ended - began),
        latency=latency([duration for _, duration in took]),
        answered=latency(published.answered_in) if published.answered_in else Latency(0, 0, 0, 0),
        cost=_cost(spent, len(took)),
        cost_of_ours=ours / len(took) * MICRO,
        receiver_share=(after.cpu["receiver"] - before.cpu["receiver"]) / (after.at - before.at),
        peak_memory=max(reading.memory["node"] for reading in readings),
        lost=len(published.at) * plan.fan_out - len(took),
        duplicates=noted.duplicates,
        badly_signed=noted.badly_signed,
        refused=published.refused,
        course=_course(took, began, ended),
    )


def _cost(spent: list[Spent], deliveries: int) -> dict[str, float]:
    layers = sorted({layer for each in spent for layer in each.seconds})
    return {layer: sum(each.seconds.get(layer, 0.0) for each in spent) / deliveries * MICRO for layer in layers}


def _course(took: list[tuple[float, float]], began: float, ended: float) -> list[Moment]:
    """The run in stretches of equal length."""
    length = max((ended - began) / STRETCHES, 1e-9)
    stretches: list[list[float]] = [[] for _ in range(STRETCHES)]
    for at, duration in took:
        stretches[min(STRETCHES - 1, int((at - began) / length))].append(duration)
    return [
        Moment(at=(number + 1) * length, delivered=len(each) / length, p50=latency(each).p50 if each else 0.0)
        for number, each in enumerate(stretches)
    ]
