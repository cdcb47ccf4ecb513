"""``packhook check`` on PostgreSQL: the state of a database, which is not changed."""

import asyncio

import pytest

from packhook.core.errors import SchemaTooNew
from packhook.settings import Settings
from packhook.store.open import inspect_database
from packhook.store.postgres.schema import VERSION
from postgres.server import Server, direct


def test_an_empty_database_stays_empty(server: Server) -> None:
    """Make no schema in it; tell that the server is not durable."""
    with server.database("template0") as url:
        for _ in range(2):
            empty = asyncio.run(inspect_database(Settings(database=url)))
    assert (empty.version, empty.newest, empty.takes_writes) == (0, VERSION, True)
    assert empty.weaknesses == ("fsync", "full_page_writes")


async def test_the_state_of_a_schema(url: str) -> None:
    """Accept this version and an older one, which will be migrated, and refuse a newer one."""
    settings = Settings(database=url)
    assert (await inspect_database(settings)).version == VERSION
    async with direct(url) as connection:
        await connection.execute("UPDATE packhook.schema_version SET version = version + 1")
        with pytest.raises(SchemaTooNew):
            await inspect_database(settings)
        await connection.execute("UPDATE packhook.schema_version SET version = version - 2")
        behind = await inspect_database(settings)
    assert (behind.version, behind.newest) == (VERSION - 1, VERSION)
