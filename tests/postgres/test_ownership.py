"""Ownership on many nodes: wherever it is published, a held webhook waits; its proof on one node wakes the others."""

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
    """Two nodes that require ownership, and an organization."""
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


async def test_a_proof_on_one_node_lets_another_send(pair: tuple[PostgresStore, PostgresStore], url: str) -> None:
    """What was published over the API and what was by SQL; no node claims it before."""
    one, other = pair
    held = await add_webhook(one, verification_pending=True)
    await publish(one, 2)
    async with direct(url) as connection:
        await connection.execute("""SELECT packhook.publish('acme', 'order.created', '{"id": "ord_1"}')""")
        now = await connection.fetchval("SELECT max(created_at) FROM packhook.events")
    assert [await claim(node, now) for node in (one, other)] == [(), ()]
    other.attach(ears := WaitingDispatcher())
    await one.replace_webhook(next_version(held, verification_pending=False, verified_at=START), new_entry())
    while held.id not in ears.changes or not ears.notified:
        await ears.wait()
    assert len(await claim(other, now)) == 3


async def test_a_node_without_the_setting_lets_it_flow(pair: tuple[PostgresStore, PostgresStore], url: str) -> None:
    """From its start on; claims of the others had put the lane aside."""
    one, _ = pair
    await add_webhook(one, verification_pending=True)
    await publish(one)
    assert await claim(one, START) == ()
    third = PostgresStore(url, ManualClock())
    await third.open()
    assert len(await claim(third, START)) == 1
    await third.close()
