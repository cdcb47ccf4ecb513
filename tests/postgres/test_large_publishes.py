"""Test publishes that are too much for one statement: they are written in slices within one transaction."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from packhook.core.model import PublishRequest, Receipt
from packhook.store.base import DeliveryFilter, PageRequest
from packhook.store.postgres.group_commit import MAX_CONCURRENT_LARGE
from packhook.store.postgres.publish import STATEMENT_WEIGHT
from packhook.store.postgres.store import PostgresStore
from packhook.testing.clock import ManualClock
from postgres.server import direct, eventually
from store.values import ACME, OTHER, FakeDispatcher, add_webhook, event, new_entry, organization, publication, webhook

COUNT_ROWS = """
CREATE TABLE packhook.statements (name text, rows bigint);
CREATE FUNCTION packhook.count_rows() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO packhook.statements SELECT TG_TABLE_NAME, count(*) FROM new_rows; RETURN NULL; END $$;
CREATE TRIGGER counted AFTER INSERT ON packhook.events REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT
EXECUTE FUNCTION packhook.count_rows();
CREATE TRIGGER counted AFTER INSERT ON packhook.deliveries REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT
EXECUTE FUNCTION packhook.count_rows()"""


@pytest.fixture
async def node(url: str) -> AsyncIterator[PostgresStore]:
    """Open a node with two organizations; one has 60 webhooks, the other one."""
    store = PostgresStore(url, ManualClock())
    await store.open()
    for name in (ACME, OTHER):
        await store.create_organization(organization(name), new_entry())
    for _ in range(60):
        await store.create_webhook(webhook(), new_entry())
    await add_webhook(store, OTHER)
    yield store
    await store.close()


def large(count: int = 100, data: bytes = b'{"id":"ord_1"}') -> PublishRequest:
    """Return a call with 60 deliveries for each event."""
    return publication(*(event(data=data) for _ in range(count)))


async def check_stored(node: PostgresStore, request: PublishRequest, receipts: tuple[Receipt, ...]) -> None:
    """Check that each event is there, with all its deliveries."""
    assert [receipt.id for receipt in receipts] == [event.id for event in request.events]
    assert {receipt.deliveries for receipt in receipts} == {60}
    found = await node.list_deliveries(ACME, PageRequest(limit=100_000), DeliveryFilter())
    of_request = [item for item in found.items if item.event_id in {event.id for event in request.events}]
    assert len({(item.event_id, item.webhook_id) for item in of_request}) == len(of_request) == 60 * len(receipts)


async def test_no_statement_writes_more_than_the_bound(node: PostgresStore, url: str) -> None:
    """Neither in rows nor in bytes, whether or not the node knew before how much it would be."""
    async with direct(url) as looking:
        await looking.execute(COUNT_ROWS)
        for number in range(2):
            request = large()
            await check_stored(node, request, await node.publish(request))
            counted = await looking.fetch("DELETE FROM packhook.statements RETURNING name, rows")
            assert max(row["rows"] for row in counted) <= STATEMENT_WEIGHT, number
            assert sum(row["rows"] for row in counted) == 100 + 6_000
        request = large(50, b'{"id":"%s"}' % (b"x" * 250_000))
        await check_stored(node, request, await node.publish(request))
        counted = await looking.fetch("SELECT name, rows FROM packhook.statements WHERE rows > 0 AND name = 'events'")
        assert sorted(row["rows"] for row in counted) == [18, 32]


async def test_what_is_leased_is_enqueued_and_what_is_not_waits(node: PostgresStore) -> None:
    """As with one statement."""
    node.attach(dispatcher := FakeDispatcher(slots=2_500))
    await node.publish(large())
    assert len(dispatcher.enqueued) == 2_500
    assert len({delivery.id for delivery in dispatcher.enqueued}) == 2_500
    assert dispatcher.notified


async def test_a_small_publish_does_not_wait_for_large_ones(node: PostgresStore, url: str) -> None:
    """Large ones of another organization hold locks, and as many as may run at once wait for them."""
    async with direct(url) as holder:
        await holder.execute(
            """CREATE FUNCTION packhook.wait_for_holder() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END $$;
            CREATE TRIGGER waits BEFORE INSERT ON packhook.events FOR EACH ROW
            WHEN (new.organization_id = 'acme') EXECUTE FUNCTION packhook.wait_for_holder();
            SELECT pg_advisory_lock(1)"""
        )
        waiting = [node.publish(large()) for _ in range(MAX_CONCURRENT_LARGE + 2)]

        async def hold() -> bool:
            held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 1 AND NOT granted"
            return int(await holder.fetchval(held)) == MAX_CONCURRENT_LARGE

        await eventually(hold)
        (receipt,) = await node.publish(publication(event(OTHER)))
        assert receipt.deliveries == 1
        assert not any(large_one.done() for large_one in waiting)
        await holder.execute("SELECT pg_advisory_unlock(1)")
    results = await asyncio.gather(*waiting)
    assert [len(receipts) for receipts in results] == [100] * len(waiting)
