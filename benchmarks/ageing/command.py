"""The command ``python -m benchmarks ageing``: days of a steady load with retention, compressed, hour by hour.

::

    an hour: (publish ─▶ claim ─▶ record, some to be retried) … ─▶ retention ─▶ lists ─▶ sizes ─▶ a line

It calls the store directly, with a simulated clock: no HTTP request is sent. On a server of its own autovacuum looks
once a second instead of once a minute: an hour takes seconds here.
"""

import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Annotated, Final

import msgspec
import typer

from benchmarks.ageing.measures import Database, Hour, quicken_autovacuum
from benchmarks.claims.workload import BATCH, ORGANIZATION, Workload
from benchmarks.postgres_server import PostgresServer
from packhook.cli.exits import Exit, fail
from packhook.core.clock import DAY, HOUR, SystemClock
from packhook.core.model import LeasedDelivery
from packhook.settings import Settings
from packhook.store.base import DeliveryFilter, PageRequest, Store
from packhook.store.open import open_store

MOST_SHARE: Final = 0.15
"""Of an event's cost: if retention costs more, partitions would be worth their price."""
MOST_GROWTH: Final = 1.5
MOST_SLOWER: Final = 1.5
EVENTS_PER_CALL: Final = 50
RETENTION_BATCH: Final = 500
LISTS: Final = 20
PAGE: Final = PageRequest(limit=25)


def ageing(
    hours: Annotated[int, typer.Option(min=4, help="Compressed hours.")] = 100,
    keep: Annotated[int, typer.Option(min=2, help="Hours that events are kept.")] = 24,
    events: Annotated[int, typer.Option(min=BATCH, help="Events per compressed hour.")] = 5_000,
    rest: Annotated[float, typer.Option(min=0, help="Microseconds of CPU of an event beside the store.")] = 200.0,
    database: Annotated[str, typer.Option(help="URL of an empty database; default: a PostgreSQL of its own.")] = "",
    json: Annotated[Path | None, typer.Option(help="Write the hours to this file as JSON.")] = None,
) -> None:
    """Publish, deliver and remove events for days, and print what an event costs and how large tables become.

    Exit 0 only if retention, sizes and lists stay below what would make partitions worth their price.

    Example: python -m benchmarks ageing --hours 100 --events 5000
    """
    if keep >= hours - 1:
        fail("--keep: expected at least two hours less than --hours: nothing would be removed", Exit.USAGE)
    if database and not database.startswith("postgres"):
        fail("--database must be a postgresql:// URL", Exit.USAGE)
    measured = asyncio.run(_run(database, hours, keep, events))
    if json is not None:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(measured), indent=2))
    if not judge(measured, keep, rest):
        raise typer.Exit(Exit.FAILED)


async def _run(url: str, hours: int, keep: int, events: int) -> list[Hour]:
    if url:
        return await _measure(url, hours, keep, events)
    with tempfile.TemporaryDirectory(prefix="packhook-ageing-") as folder:
        server = PostgresServer(Path(folder))
        await server.start()
        try:
            await quicken_autovacuum(server.url)
            return await _measure(server.url, hours, keep, events)
        finally:
            await server.stop()


async def _measure(url: str, hours: int, keep: int, events: int) -> list[Hour]:
    clock = SystemClock()
    store = open_store(Settings(database=url), clock)
    await store.open()
    try:
        workload = Workload(store, clock.now() - hours * HOUR)
        await workload.prepare(1, 0)
        async with Database(url) as database:
            found: list[Hour] = []
            for number in range(1, hours + 1):
                found.append(await _hour(store, database, workload, number, events, keep))
                typer.echo(found[-1].line)
            return found
    finally:
        await store.close()


async def _hour(store: Store, database: Database, workload: Workload, number: int, events: int, keep: int) -> Hour:
    began = await database.spent()
    claims: list[float] = []
    for _ in range(events // BATCH):
        calls = [workload.publish(EVENTS_PER_CALL, "order.created") for _ in range(BATCH // EVENTS_PER_CALL)]
        await asyncio.gather(*calls)
        while leased := await _timed_claim(workload, claims):
            await workload.record(leased)
        workload.now += HOUR // (events // BATCH)
    worked = await database.spent()
    removed = await _remove(store, workload.now, keep)
    cleaned = await database.spent()
    lists = await _time_lists(store)
    published = events // BATCH * BATCH
    return Hour(
        number=number,
        events=published,
        removed=removed,
        event=worked.since(began, published),
        retention=cleaned.since(worked, published),
        claim_milliseconds=median(claims),
        list_milliseconds=lists,
        tables=await database.tables(),
    )


async def _timed_claim(workload: Workload, claims: list[float]) -> Sequence[LeasedDelivery]:
    began = time.perf_counter()
    leased = await workload.claim()
    if len(leased) == BATCH:
        claims.append((time.perf_counter() - began) * 1000)
    return leased


async def _remove(store: Store, now: int, keep: int) -> int:
    """Do what a node does once a minute; return how many events were removed."""
    removed = 0
    while True:
        batch = await store.apply_retention(
            events_before=now - keep * HOUR, keys_before=now - DAY, audit_before=0, now=now, limit=RETENTION_BATCH
        )
        if batch.is_done:
            return removed
        removed += batch.events


async def _time_lists(store: Store) -> float:
    """Return the shortest time of a page of the newest deliveries, in milliseconds: the machine may have other work."""
    found = []
    for _ in range(LISTS):
        began = time.perf_counter()
        await store.list_deliveries(ORGANIZATION, PAGE, DeliveryFilter())
        found.append((time.perf_counter() - began) * 1000)
    return min(found)


def judge(hours: Sequence[Hour], keep: int, rest: float) -> bool:
    """Print what the last hours cost beside those before anything was removed; return whether it is little enough.

    ``rest``: what an event costs beside the store, over HTTP.
    """
    full, last = hours[keep // 2 : keep], hours[-max(2, keep // 2) :]
    cost = median(hour.event.cpu for hour in last)
    share = median(hour.retention.cpu for hour in last) / (cost + rest) if cost else 0.0
    per_event = [sum(hour.size for hour in some) / len(some) for some in (full[-1:], last)]
    growth = per_event[1] / per_event[0]
    slower = _ratio(full, last, "list_milliseconds")
    typer.echo(f"an event costs {_ratio_of_cost(full, last):.2f} of what it cost before retention began")
    typer.echo(f"retention costs {share:.1%} of an event with HTTP; more than {MOST_SHARE:.0%} would be too much")
    typer.echo(f"tables and indexes have {growth:.2f} of their live size; more than {MOST_GROWTH} would be too much")
    typer.echo(f"a list takes {slower:.2f} of its time, a claim {_ratio(full, last, 'claim_milliseconds'):.2f}")
    return share <= MOST_SHARE and growth <= MOST_GROWTH and slower <= MOST_SLOWER


def _ratio(before: Sequence[Hour], after: Sequence[Hour], name: str) -> float:
    first, last = (median(getattr(hour, name) for hour in some) for some in (before, after))
    return float(last / first)


def _ratio_of_cost(before: Sequence[Hour], after: Sequence[Hour]) -> float:
    first, last = (median(hour.event.cpu for hour in some) for some in (before, after))
    return last / first if first else 0.0
