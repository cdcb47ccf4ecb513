"""Test erasure while others make deliveries of the same event: whichever commits first, nothing of it stays live."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from packhook.core.audit import Action
from packhook.core.errors import Conflict
from packhook.core.replay import ReplayQuery, Selection
from packhook.store.postgres import erasure
from packhook.store.postgres.queries import Db
from packhook.store.postgres.store import PostgresStore
from packhook.testing.clock import START
from postgres.server import direct, eventually
from store.test_replays import CHUNKS, LATER, create
from store.values import ACME, add_webhook, claim, delivered, new_entry, publish

FAN_OUT = 8097862917953646445
PUBLISH = """SELECT packhook.publish('acme', 'order.created', '{"id": "ord_1"}')"""


@asynccontextmanager
async def erasing(url: str, event_id: str) -> AsyncIterator[None]:
    """Erase an event in a transaction that commits at the end of the block."""
    entry = new_entry(Action.EVENT_ERASED, object_id=event_id)
    async with direct(url) as connection, connection.transaction():
        await erasure.erase(Db(connection), ACME, [event_id], START, [entry])
        yield


async def waits(connection: "asyncpg.Connection[Any]") -> None:
    """Wait until a session waits for a lock."""

    async def blocked() -> bool:
        return bool(
            await connection.fetch(
                "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
        )

    await eventually(blocked)


async def finish(url: str, event_id: str, work: Awaitable[object]) -> object:
    """Begin to erase an event, begin ``work``, and commit once that waits; return what it comes to."""
    async with direct(url) as looking:
        async with erasing(url, event_id):
            task = asyncio.ensure_future(work)
            await waits(looking)
        (result,) = await asyncio.gather(task, return_exceptions=True)
        return result


async def test_a_retry_that_comes_during_an_erasure_is_a_conflict(node: PostgresStore, url: str) -> None:
    """The delivery stays as it was."""
    await add_webhook(node)
    (event,) = await publish(node)
    (leased,) = await claim(node, START)
    await node.record([delivered(leased, START)])
    result = await finish(url, event.id, node.retry_delivery(ACME, leased.id, START, new_entry()))
    assert isinstance(result, Conflict)
    assert (await node.get_delivery(ACME, leased.id))[0].status == "delivered"


@pytest.mark.parametrize("has_delivery", [True, False])
async def test_a_replay_that_comes_during_an_erasure_leaves_the_event_out(
    node: PostgresStore, url: str, *, has_delivery: bool
) -> None:
    """Whether it begins a delivery anew or makes one."""
    if has_delivery:
        await add_webhook(node)
    (event,) = await publish(node)
    hook = (await add_webhook(node)) if not has_delivery else None
    if hook is None:
        (leased,) = await claim(node, START)
        await node.record([delivered(leased, START)])
        webhook_id = leased.webhook_id
    else:
        webhook_id = hook.id
    replay = await create(
        node, ReplayQuery(organization_id=ACME, webhook_id=webhook_id, selection=Selection.ALL, since=0)
    )
    await finish(url, event.id, node.replays.advance(LATER, CHUNKS))
    assert (await node.replays.get(ACME, replay.id)).failed == 1
    assert await claim(node, LATER) == ()


async def test_an_event_that_is_erased_during_its_fan_out_gets_no_delivery(node: PostgresStore, url: str) -> None:
    """The node makes the deliveries of the others again."""
    await add_webhook(node)
    async with direct(url) as caller, direct(url) as holder:
        await holder.fetchval("SELECT pg_advisory_lock($1)", FAN_OUT)
        gone = await caller.fetchval(PUBLISH)
        async with erasing(url, gone):
            await holder.fetchval("SELECT pg_advisory_unlock($1)", FAN_OUT)
            kept = await caller.fetchval(PUBLISH)
            await waits(caller)

        async def fanned_out() -> bool:
            return bool((await node.get_event(ACME, kept))[1])

        await eventually(fanned_out)
    event, deliveries = await node.get_event(ACME, gone)
    assert (event.erased_at, deliveries) == (START, ())
