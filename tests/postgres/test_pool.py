"""Test the pool: connections are reused without a reset; broken ones and open transactions are cleaned up."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from packhook.core.errors import Unavailable
from packhook.store.postgres.connection import MIGRATING, Pool
from packhook.store.postgres.queries import Db
from postgres.server import direct, eventually

MINE = "SELECT pg_backend_pid()"


@pytest.fixture
async def pool(url: str) -> AsyncIterator[Pool]:
    """Yield a pool of at most two connections."""
    opened = await Pool.open(url, MIGRATING, 2)
    yield opened
    await opened.close()


async def process_of(db: Db) -> int:
    """Return the id of the connection's server process."""
    row = await db.fetch_one(MINE)
    assert row is not None
    number: int = row[0]
    return number


async def acquired_once(pool: Pool) -> int:
    """Acquire a connection, release it, and return the id of its server process."""
    async with pool.acquire() as db:
        return await process_of(db)


async def test_one_connection_serves_callers_one_after_another(pool: Pool) -> None:
    """Two callers at once get two."""
    assert len({await acquired_once(pool) for _ in range(5)}) == 1
    async with pool.acquire() as db:
        assert len({await process_of(db), await acquired_once(pool), await acquired_once(pool)}) == 2


async def test_a_waiting_caller_gets_the_next_free_connection(pool: Pool) -> None:
    """It is not kept idle for another caller."""
    async with pool.acquire(), pool.acquire():
        waiting = [asyncio.create_task(acquired_once(pool)) for _ in range(3)]
        done, _ = await asyncio.wait(waiting, timeout=0.05)
        assert not done
    async with asyncio.timeout(5):
        assert len(set(await asyncio.gather(*waiting))) <= 2


async def test_what_the_database_fails_is_counted(pool: Pool) -> None:
    """Count a statement that fails, and none that succeeds."""
    await acquired_once(pool)
    with pytest.raises(Unavailable):
        async with pool.acquire() as db:
            await db.fetch_one("SELECT nothing")
    assert (pool._counts.errors, pool.size) == (1, 1)


async def test_an_open_transaction_is_rolled_back(pool: Pool) -> None:
    """The next caller is in no foreign transaction."""

    async def leave() -> None:
        async with pool.acquire() as db:
            await db.begin()
            await db.fetch_all("CREATE TABLE left_undone ()")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await leave()
    async with pool.acquire() as one, pool.acquire() as another:
        for db in (one, another):
            assert (await db.fetch_all("SELECT to_regclass('left_undone') IS NULL"))[0][0]
            await db.fetch_all("VACUUM pg_class")  # not possible in a transaction


async def test_a_connection_that_was_lost_while_idle_is_replaced(pool: Pool) -> None:
    """It does not matter which caller notices first."""
    async with pool.acquire() as db:
        lost = await process_of(db)
    async with pool.acquire() as db, pool.acquire() as other:
        for item in (db, other):
            if await process_of(item) != lost:
                await item.fetch_all(f"SELECT pg_terminate_backend({lost})")

    async def is_replaced() -> bool:
        try:
            return await acquired_once(pool) != lost
        except Unavailable:  # the end had not been heard of yet
            return False

    await eventually(is_replaced)
    assert await acquired_once(pool) != lost


async def test_closing_closes_idle_connections(url: str) -> None:
    """No connection is left on the server."""
    opened = await Pool.open(url, MIGRATING, 2)
    async with opened.acquire(), opened.acquire():
        pass
    await opened.close()
    left = "SELECT pid FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database()"
    async with direct(url) as connection:

        async def is_empty() -> bool:
            return not await connection.fetch(left, MIGRATING["application_name"])

        await eventually(is_empty)
