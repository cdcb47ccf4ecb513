"""Test that a dump of a running PostgreSQL goes on delivering in another database."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from packhook.store.feed import FeedRequest
from packhook.store.postgres.store import PostgresStore
from packhook.testing.clock import START, ManualClock
from postgres.server import Server
from store.values import ACME, ALL, LEASE, FakeDispatcher, add_webhook, claim, delivered, publish, status_of

NEW = "restored"


@pytest.fixture
def empty(server: Server) -> Iterator[str]:
    """Yield the URL of a database without anything in it."""
    server.run(f"CREATE DATABASE {NEW}")
    yield server.url(NEW)
    server.run(f"DROP DATABASE {NEW} WITH (FORCE)")


async def run(program: Path, *arguments: str) -> None:
    """Run a program, which must succeed."""
    process = await asyncio.create_subprocess_exec(program, *arguments)
    assert await process.wait() == 0


async def test_a_dump_goes_on_delivering_in_another_database(
    node: PostgresStore, url: str, server: Server, empty: str, tmp_path: Path
) -> None:
    """What waited, what a node had leased, and what is published from then on; what was delivered stays so."""
    node.attach(FakeDispatcher())
    await add_webhook(node)
    done, _, _ = await publish(node, 3)
    leased = {item.event_id: item for item in await claim(node, START)}
    await node.record([delivered(leased[done.id], START)])
    dump = tmp_path / "packhook.dump"
    await run(server.program("pg_dump"), "--format=custom", "--schema=packhook", f"--file={dump}", url)
    await run(server.program("pg_restore"), "--exit-on-error", f"--dbname={empty}", str(dump))
    restored = PostgresStore(empty, ManualClock())
    await restored.open()
    try:
        again = await claim(restored, START + LEASE)
        assert {item.event_id for item in again} == set(leased) - {done.id}
        assert await restored.record([delivered(item, START + LEASE) for item in again]) == [True, True]
        assert await status_of(restored, leased[done.id]) == "delivered"
        (new,) = await publish(restored)
        assert [item.event_id for item in await claim(restored, START + LEASE)] == [new.id]
        assert (await restored.list_events(ACME, ALL)).items[0].id == new.id
        page = await restored.feed.read(FeedRequest(organization_id=ACME, after=None, max_bytes=10_000))
        assert [item.id for item in page.events] == [*sorted(leased), new.id]
    finally:
        await restored.close()
