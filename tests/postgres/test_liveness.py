"""Test liveness: leases of a dead node are released within seconds; a node that stops removes its own row."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import pytest

from packhook.core.model import DeliveryStatus, Interruption
from packhook.store.base import DeliveryFilter
from packhook.store.dispatcher import Capacity
from packhook.store.postgres import liveness
from packhook.store.postgres.store import PostgresStore
from packhook.testing import ManualClock
from packhook.testing.clock import START
from postgres.server import direct, eventually
from store.values import ACME, ALL, FakeDispatcher, add_webhook, new_entry, organization, publish
from support.values import replaced


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check ten times a second."""
    monkeypatch.setattr(liveness, "CHECK_SECONDS", 0.1)


class LeasingDispatcher(FakeDispatcher):
    """Offer capacity whose leases begin at ``first``."""

    first = 1

    def capacity(self) -> Capacity:
        """Return the capacity under that lease."""
        return replaced(super().capacity(), lease=self.first)


@asynccontextmanager
async def node(url: str, slots: int = 0, lease: int = 0) -> AsyncIterator[tuple[PostgresStore, FakeDispatcher]]:
    """Open a node whose dispatcher has this many slots."""
    store = PostgresStore(url, ManualClock())
    await store.open()
    dispatcher = LeasingDispatcher(slots=slots)
    dispatcher.first = lease
    store.attach(dispatcher)
    try:
        yield store, dispatcher
    finally:
        await store.close()


async def known(url: str) -> int:
    """Return the number of registered nodes."""
    async with direct(url) as connection:
        return int(await connection.fetchval("SELECT count(*) FROM nodes"))


async def drop_lock_connections(url: str) -> None:
    """Close the connections that hold a node's lock, as when its process dies."""
    async with direct(url) as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN nodes n ON l.locktype = 'advisory' "
            "AND (l.classid::bigint << 32 | l.objid::bigint) = n.id WHERE n.first_lease < 1000"
        )


async def vanish(store: PostgresStore) -> None:
    """End the liveness task without closing the store, as when its process dies."""
    gone = store._open.liveness
    gone._task.cancel()
    await asyncio.gather(gone._task, return_exceptions=True)


async def test_leases_of_a_dead_node_are_released_within_seconds(url: str) -> None:
    """This is long before they run out, and the other nodes are notified."""
    async with node(url, slots=10, lease=7) as (dying, _):
        await dying.create_organization(organization(ACME), new_entry())
        hook = await add_webhook(dying)
        await publish(dying)
        async with node(url, lease=10_000_000) as (other, dispatcher):
            await eventually(lambda: _is(known(url), 2))
            await vanish(dying)

            async def freed() -> bool:
                listed = (await other.list_deliveries(ACME, ALL, DeliveryFilter())).items
                return [item.status for item in listed] == [DeliveryStatus.PENDING]

            await eventually(freed)
            (left,) = (await other.list_deliveries(ACME, ALL, DeliveryFilter())).items
            assert await other.interruptions(ACME, left.id) == (Interruption(number=1, noticed_at=START),)
            assert (frozenset({hook.id}), START) in [(frozenset(ids), at) for ids, at in dispatcher.notified]
            await eventually(lambda: _is(known(url), 1))


async def _is(actual: Awaitable[int], expected: int) -> bool:
    return await actual == expected


async def test_a_node_that_reconnects_is_not_declared_dead(url: str) -> None:
    """It acquires its lock again; its leases stay its own if it was missing only once."""
    async with node(url, slots=10, lease=7) as (store, _):
        await eventually(lambda: _is(known(url), 1))
        await drop_lock_connections(url)
        await store.create_organization(organization(ACME), new_entry())
        await add_webhook(store)
        await publish(store)
        await eventually(lambda: _is(known(url), 1))
        listed = (await store.list_deliveries(ACME, ALL, DeliveryFilter())).items
        assert [item.status for item in listed] == [DeliveryStatus.SENDING]


async def test_a_node_that_is_missing_twice_in_a_row_is_declared_dead(url: str) -> None:
    """Missing once may be a reconnect."""
    away = 7
    async with node(url) as (store, _), direct(url) as looking, direct(url) as its_own:
        await eventually(lambda: _is(known(url), 1))
        watcher = store._open.liveness
        await vanish(store)
        await looking.execute("INSERT INTO nodes (id, first_lease, last_lease, since) VALUES ($1, 1, 2, 0)", away)
        seen = []
        for is_there in (False, True, False, False):
            if is_there:
                await its_own.execute("SELECT pg_advisory_lock($1)", away)
            await watcher._check_peers(looking)
            seen.append(await looking.fetchval("SELECT count(*) FROM nodes WHERE id = $1", away))
            await its_own.execute("SELECT pg_advisory_unlock_all()")
        assert seen == [1, 1, 1, 0]


async def test_a_node_that_stops_removes_its_row(url: str) -> None:
    """No other node has to detect it."""
    async with node(url):
        await eventually(lambda: _is(known(url), 1))
    assert await known(url) == 0
