"""Connections are lent again without ceremony; what broke, or was left undone, goes through the pool."""

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
    """A pool of two connections at most."""
    opened = await Pool.open(url, MIGRATING, 2)
    yield opened
    await opened.close()


async def process_of(db: Db) -> int:
    """The server's process that it talks to."""
    row = await db.fetch_one(MINE)
    assert row is not None
    number: int = row[0]
    return number


async def lent_once(pool: Pool) -> int:
    """Whom one talks to that is lent for a moment."""
    async with pool.acquire() as db:
        return await process_of(db)


async def test_one_connection_does_for_one_after_another(pool: Pool) -> None:
    """And two for two at once."""
    assert len({await lent_once(pool) for _ in range(5)}) == 1
    async with pool.acquire() as db:
        assert len({await process_of(db), await lent_once(pool), await lent_once(pool)}) == 2


async def test_who_waits_has_the_next_that_is_free(pool: Pool) -> None:
    """It is not kept at hand for somebody else."""
    async with pool.acquire(), pool.acquire():
        waiting = [asyncio.create_task(lent_once(pool)) for _ in range(3)]
        done, _ = await asyncio.wait(waiting, timeout=0.05)
        assert not done
    async with asyncio.timeout(5):
        assert len(set(await asyncio.gather(*waiting))) <= 2


async def test_what_was_left_undone_is_undone(pool: Pool) -> None:
    """Who comes next is in no transaction of another's."""

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


async def test_one_that_was_lost_at_hand_is_replaced(pool: Pool) -> None:
    """Whoever noticed first."""
    async with pool.acquire() as db:
        lost = await process_of(db)
    async with pool.acquire() as db, pool.acquire() as other:
        for item in (db, other):
            if await process_of(item) != lost:
                await item.fetch_all(f"SELECT pg_terminate_backend({lost})")

    async def is_replaced() -> bool:
        try:
            return await lent_once(pool) != lost
        except Unavailable:  # the end had not been heard of yet
            return False

    await eventually(is_replaced)
    assert await lent_once(pool) != lost


async def test_closing_closes_those_at_hand(url: str) -> None:
    """None is left on the server."""
    opened = await Pool.open(url, MIGRATING, 2)
    async with opened.acquire(), opened.acquire():
        pass
    await opened.close()
    left = "SELECT pid FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database()"
    async with direct(url) as connection:

        async def is_empty() -> bool:
            return not await connection.fetch(left, MIGRATING["application_name"])

        await eventually(is_empty)
