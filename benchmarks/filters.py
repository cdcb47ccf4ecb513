"""Measure what filters cost: ``python -m benchmarks.filters [postgresql://…]``, on a database that may be written to.

Publishes to a store in this process, without sending: as it is without filters, with them, with one event for 5,000
webhooks, and with batches of 1,000 events for 50. Beside each, another organization publishes an event every 5 ms, and
a ticker keeps the longest turn of the event loop, in CPU: on a machine with other work the clock says little.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from packhook.core import ids
from packhook.core.audit import CLI, Action, entry
from packhook.core.clock import SystemClock
from packhook.core.event_types import EVENT_TYPES
from packhook.core.filters import compile_filter, reader_of
from packhook.core.model import Event, Organization, PublishRequest, Webhook
from packhook.core.signatures.standard import new_secret
from packhook.settings import Settings
from packhook.store.base import Store
from packhook.store.open import open_store

EXAMPLE: Final = EVENT_TYPES["order.created"].example or {}
CLOCK: Final = SystemClock()
ROUNDS: Final = 4


def event(organization_id: str, brand: int) -> Event:
    """Return a new event of a brand."""
    data = msgspec.json.encode({**EXAMPLE, "brand_id": f"brd_{brand}"})
    return Event(
        id=ids.event_id(), organization_id=organization_id, event_code="order.created", data=data,
        created_at=CLOCK.now(), subject="ord_1",
    )  # fmt: skip


async def organization(store: Store, webhooks: int, filter_of: Callable[[int], str]) -> str:
    """Create an organization with so many webhooks."""
    now = CLOCK.now()
    id_ = ids.organization_id()
    note = entry(Action.WEBHOOK_CREATED, CLI, now, organization_id=id_, object_id=id_)
    await store.create_organization(Organization(id=id_, name=id_, created_at=now), note)
    for number in range(webhooks):
        made = Webhook(
            id=ids.webhook_id(), organization_id=id_, event_code="order.created", endpoint="https://shop.example/",
            secret=new_secret(), enabled=True, created_at=now, updated_at=now, version=1, filter=filter_of(number),
        )  # fmt: skip
        note = entry(Action.WEBHOOK_CREATED, CLI, now, organization_id=id_, object_id=made.id)
        await store.create_webhook(made, note)
    return id_


class Ticker:
    """Keep the longest turn of the event loop, in milliseconds of CPU."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        before = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            self.longest = max(self.longest, 1_000 * (now - before))
            before = now

    def stop(self) -> float:
        """Return the longest time, and stop."""
        self._task.cancel()
        return self.longest


async def beside(store: Store, other: str, work: Callable[[], Awaitable[object]]) -> tuple[float, float, list[float]]:
    """Do the work; return its CPU, the longest turn, and how long publishes of ``other`` took meanwhile, all in ms."""
    latencies: list[float] = []
    stop = asyncio.Event()

    async def publish_others() -> None:
        while not stop.is_set():
            began = time.perf_counter()
            await store.publish(PublishRequest(organization_id=other, events=(event(other, 0),)))
            latencies.append(1_000 * (time.perf_counter() - began))
            await asyncio.sleep(0.005)

    others = asyncio.create_task(publish_others())
    ticker = Ticker()
    began = time.thread_time()
    await work()
    took = 1_000 * (time.thread_time() - began)
    longest = ticker.stop()
    stop.set()
    await others
    return took, longest, latencies


async def scene(store: Store, other: str, name: str, id_: str, batches: Sequence[Sequence[int]]) -> None:
    """Publish batches of events of these brands, a few times, and print what it took."""
    for round_ in range(ROUNDS):
        made = 0

        async def work() -> None:
            nonlocal made
            for brands in [*batches, batches[0][:1]]:  # the last call waits until the deliveries of the others are made
                events = tuple(event(id_, brand) for brand in brands)
                receipts = await store.publish(PublishRequest(organization_id=id_, events=events))
                made += sum(receipt.deliveries for receipt in receipts)

        took, longest, latencies = await beside(store, other, work)
        ordered = sorted(latencies)
        p99 = ordered[-1 - len(ordered) // 100]
        count = 1 + sum(map(len, batches))
        say(
            f"{name:44} round {round_}: {took:7.1f} ms CPU, {1_000 * took / count:9.1f} µs an event, "
            f"{made:6} deliveries; longest turn {longest:5.1f} ms; "
            f"others p50 {ordered[len(ordered) // 2]:5.1f}, p99 {p99:6.1f} ms ({len(ordered)})"
        )


def match_cost() -> None:
    """Print what one evaluation takes, and the first one of an event."""
    found = compile_filter("data.brand_id == 'brd_17' && data.quantity_ordered > 2")
    one = event("acme", 17)
    reader = reader_of(one, [found])
    for name, work in (
        ("a match of an event that is read", lambda: found.evaluate(reader)),
        ("reading an event, and a match", lambda: found.evaluate(reader_of(one, [found]))),
        ("compiling", lambda: compile_filter("data.brand_id == 'brd_17' && data.quantity_ordered > 2")),
    ):
        timings = []
        for _ in range(5):
            began = time.process_time()
            for _ in range(2_000):
                work()
            timings.append((time.process_time() - began) / 2_000 * 1e6)
        say(f"{name}: {min(timings):.2f} µs")


def say(text: str) -> None:
    """Print a line."""
    print(text, flush=True)  # noqa: T201 a command line


async def main(url: str) -> None:
    """Measure everything."""
    match_cost()
    store = open_store(Settings(database=url), CLOCK)
    await store.open()
    other = await organization(store, 1, lambda _: "")
    one = await organization(store, 10, lambda _: "")
    ten = await organization(store, 50, lambda number: f"data.brand_id == 'brd_{number % 5}'")
    many = await organization(store, 5_000, lambda number: f"data.brand_id == 'brd_{number}' && data.updatable")
    bare = await organization(store, 0, lambda _: "")
    await scene(store, other, "300 events, no webhook", bare, [[0]] * 300)
    await scene(store, other, "batch of 1,000 to 10, no filters", one, [range(1_000)])
    fifths = [number % 5 for number in range(1_000)]
    await scene(store, other, "batch of 1,000 to 50, a fifth match", ten, [fifths])
    await scene(store, other, "1 event to 5,000 with filters, 1 matches", many, [[17]])
    await scene(store, other, "20 events to 5,000 with filters", many, [[number] for number in range(20)])
    await store.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{Path(folder) / 'packhook.db'}"))
