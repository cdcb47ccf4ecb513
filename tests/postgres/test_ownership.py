"""Test endpoint verification on many nodes: pending webhooks wait on all, and verification on one wakes the others."""

from collections.abc import AsyncIterator

import pytest

from packhook.store.config import StoreConfig
from packhook.store.postgres.store import PostgresStore
from packhook.testing import ManualClock
from packhook.testing.clock import START
from postgres.server import direct
from postgres.test_notifications import WaitingDispatcher
from store.values import ACME, add_webhook, claim, new_entry, next_version, organization, publish


@pytest.fixture
async def pair(url: str) -> AsyncIterator[tuple[PostgresStore, PostgresStore]]:
    """Open two nodes that require endpoint verification, with an organization."""
    nodes = (
        PostgresStore(url, ManualClock(), StoreConfig(require_verification=True)),
        PostgresStore(url, ManualClock(), StoreConfig(require_verification=True)),
    )
    for node in nodes:
        await node.open()
    await nodes[0].create_organization(organization(ACME), new_entry())
    yield nodes
    for node in nodes:
        await node.close()


async def test_verification_on_one_node_lets_another_send(pair: tuple[PostgresStore, PostgresStore], url: str) -> None:
    """This holds for events published over the API and by SQL; no node claims them before."""
    one, other = pair
    pending = await add_webhook(one, verification_pending=True)
    await publish(one, 2)
    async with direct(url) as connection:
        await connection.execute("""SELECT packhook.publish('acme', 'order.created', '{"id": "ord_1"}')""")
        now = await connection.fetchval("SELECT max(created_at) FROM packhook.events")
    assert [await claim(node, now) for node in (one, other)] == [(), ()]
    other.attach(recorder := WaitingDispatcher())
    await one.replace_webhook(next_version(pending, verification_pending=False, verified_at=START), new_entry())
    while pending.id not in recorder.changes or not recorder.notified:
        await recorder.wait()
    assert len(await claim(other, now)) == 3


async def test_a_node_without_the_setting_sends_to_pending_webhooks(
    pair: tuple[PostgresStore, PostgresStore], url: str
) -> None:
    """It does so from its start, although claims of the others set the lane aside."""
    one, _ = pair
    await add_webhook(one, verification_pending=True)
    await publish(one)
    assert await claim(one, START) == ()
    third = PostgresStore(url, ManualClock())
    await third.open()
    assert len(await claim(third, START)) == 1
    await third.close()
