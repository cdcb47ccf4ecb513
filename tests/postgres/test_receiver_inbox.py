"""Test the inbox of a receiver on PostgreSQL with asyncpg: each event is handled once."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final

import asyncpg
import httpx
import pytest

from docs.pages import blocks, read
from packhook_client.receiving import AsyncpgInbox
from postgres.server import eventually
from receiving.messages import ENCODED, OTHER, signed
from receiving.servers import aiohttp_server

_INBOX: Final = AsyncpgInbox()
_CRASH: Final = """
import asyncio, asyncpg, os, signal, sys
from packhook_client.receiving import AsyncpgInbox

async def handler(connection):
    await connection.execute("INSERT INTO work VALUES ('evt_1')")
    os.kill(os.getpid(), signal.SIGKILL)

async def main():
    await AsyncpgInbox().handle(await asyncpg.connect(sys.argv[1]), "evt_1", handler)

asyncio.run(main())
"""

Connection = Any


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connection]:
    """Connect as a receiver does."""
    opened = await asyncpg.connect(url)
    try:
        yield opened
    finally:
        await opened.close()


async def work(connection: Connection) -> None:
    """Write a row."""
    await connection.execute("INSERT INTO work VALUES ('evt_1')")


async def done(url: str) -> int:
    """Return how many rows are committed."""
    async with connected(url) as fresh:
        return int(await fresh.fetchval("SELECT count(*) FROM work"))


@pytest.fixture
async def connection(url: str) -> AsyncIterator[Connection]:
    """Yield a connection to a database with an inbox and a table for work."""
    async with connected(url) as opened:
        await opened.execute("CREATE TABLE work (event_id TEXT)")
        await _INBOX.create(opened)
        await _INBOX.create(opened)
        yield opened


async def test_an_event_is_handled_once(connection: Connection, url: str) -> None:
    """Skip the second delivery of an event, handle the next event."""
    handled = [await _INBOX.handle(connection, event_id, work) for event_id in ("evt_1", "evt_1", "evt_2")]
    assert (handled, await done(url)) == ([True, False, True], 2)


async def test_a_handler_that_fails_leaves_nothing(connection: Connection, url: str) -> None:
    """Roll its work back together with the event's id, and handle the event when it is sent again."""

    async def fails(database: Connection) -> None:
        await work(database)
        raise RuntimeError("out of stock")

    with pytest.raises(RuntimeError, match="out of stock"):
        await _INBOX.handle(connection, "evt_1", fails)
    assert await done(url) == 0
    assert (await _INBOX.handle(connection, "evt_1", work), await done(url)) == (True, 1)


async def test_a_crash_between_handling_and_commit_leaves_nothing(connection: Connection, url: str) -> None:
    """Kill the process in its handler, after it wrote: the next delivery is handled, once."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", _CRASH, url)
    assert await asyncio.wait_for(process.wait(), 60) == -signal.SIGKILL
    assert [await _INBOX.handle(connection, "evt_1", work) for _ in range(2)] == [True, False]
    assert await done(url) == 1


@pytest.mark.parametrize("first_fails", [False, True])
async def test_a_concurrent_delivery_waits_for_the_first(connection: Connection, url: str, first_fails: bool) -> None:
    """Skip it if the first one was committed, handle it if not."""
    begun, release = asyncio.Event(), asyncio.Event()

    async def first(database: Connection) -> None:
        await work(database)
        begun.set()
        await release.wait()
        if first_fails:
            raise RuntimeError

    async with connected(url) as other, connected(url) as observer:

        async def waits() -> bool:
            query = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = $1"
            return bool(await observer.fetchval(query, other.get_server_pid()))

        one = asyncio.create_task(_INBOX.handle(connection, "evt_1", first))
        await asyncio.wait_for(begun.wait(), 30)
        two = asyncio.create_task(_INBOX.handle(other, "evt_1", work))
        await eventually(waits)
        assert not two.done()
        release.set()
        assert await two is first_fails
        await asyncio.wait([one])
        assert isinstance(one.exception(), RuntimeError) is first_fails
    assert await done(url) == 1


@pytest.mark.usefixtures("connection")
async def test_connections_of_a_pool_are_accepted(url: str) -> None:
    """A pool hands out proxies of connections."""
    async with asyncpg.create_pool(url, min_size=1, max_size=1) as pool, pool.acquire() as pooled:
        assert [await _INBOX.handle(pooled, "evt_1", work) for _ in range(2)] == [True, False]
    assert await done(url) == 1


async def test_old_events_are_forgotten(connection: Connection) -> None:
    """Delete what was handled longer ago than the limit, and nothing else."""
    for event_id in ("evt_1", "evt_2", "evt_3"):
        await _INBOX.handle(connection, event_id, work)
    await connection.execute("UPDATE packhook_inbox SET handled_at = handled_at - 604800 WHERE event_id < 'evt_3'")
    assert [await _INBOX.prune(connection, timedelta(days=days)) for days in (8, 6, 6)] == [0, 2, 0]
    assert [await _INBOX.handle(connection, event_id, work) for event_id in ("evt_3", "evt_1")] == [False, True]


async def test_without_a_transaction_nothing_is_claimed(connection: Connection) -> None:
    """The id would be committed before the work."""
    with pytest.raises(ValueError, match="there is no transaction"):
        await _INBOX.claim(connection, "evt_1")
    async with connection.transaction():
        assert await _INBOX.claim(connection, "evt_1") is True


async def test_the_receiver_of_the_guide_handles_each_event_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the code of docs/how-to/receive-and-verify.md: store a repeated event once, refuse a forged one."""
    (code,) = [block for block in blocks(read("how-to/receive-and-verify.md"), "python") if "AsyncpgInbox()" in block]
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("WEBHOOK_SECRET", ENCODED)
    defined: dict[str, Any] = {"__name__": "receiver"}
    exec(compile(code, "receive-and-verify.md", "exec"), defined)  # noqa: S102 our own page
    message = signed(ENCODED)
    async with aiohttp_server(await defined["application"]()) as server, httpx.AsyncClient(trust_env=False) as client:
        statuses = [
            (await client.post(f"{server}/order-created", content=body, headers=headers)).status_code
            for headers, body in (message, message, signed(OTHER))
        ]
    assert statuses == [204, 204, 401]
    async with connected(url) as connection:
        assert [tuple(row) for row in await connection.fetch("SELECT * FROM orders")] == [("ord_1", "A-1")]
