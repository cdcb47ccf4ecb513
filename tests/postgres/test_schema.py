"""Test the schema: created by one of many nodes, and refused if it is newer than the code."""

import asyncio

import pytest

from packhook.core.errors import InvalidSettings, SchemaTooNew, StartError, Unavailable
from packhook.store.migrate import migrations
from packhook.store.postgres.store import PostgresStore
from packhook.testing.clock import ManualClock
from postgres.server import Server, direct
from store.values import ACME, new_entry, organization

KNOWN = migrations("postgres")[-1].version


async def test_many_nodes_that_start_at_once_make_the_schema_once(server: Server) -> None:
    """Each is ready when it is open."""
    database = server.database("template0")
    url = await asyncio.to_thread(database.__enter__)
    nodes = [PostgresStore(url, ManualClock()) for _ in range(4)]
    await asyncio.gather(*(node.open() for node in nodes))
    await nodes[0].create_organization(organization(), new_entry())
    for node in nodes:
        await node.ping()
        assert await node.get_organization(ACME) == organization()
        await node.close()
    await asyncio.to_thread(database.__exit__, None, None, None)


async def test_a_schema_that_is_newer_than_the_code_is_refused(url: str) -> None:
    """The error has the remedy; a running node continues, because an upgrade begins with the first new node."""
    running = PostgresStore(url, ManualClock())
    await running.open()
    async with direct(url) as owner:
        await owner.execute("UPDATE schema_version SET version = $1", KNOWN + 1)
    with pytest.raises(SchemaTooNew, match="pip install --upgrade packhook"):
        await PostgresStore(url, ManualClock()).open()
    await running.ping()
    await running.close()


async def test_a_schema_that_is_older_than_the_code_is_not_ready(url: str) -> None:
    """As after a restore of an old backup beneath a running node."""
    running = PostgresStore(url, ManualClock())
    await running.open()
    async with direct(url) as owner:
        await owner.execute("UPDATE schema_version SET version = $1", KNOWN - 1)
    with pytest.raises(Unavailable, match="schema version"):
        await running.ping()
    await running.close()


async def test_a_database_of_another_encoding_is_refused(server: Server) -> None:
    """It could not hold every text."""
    database = server.database("template0", "ENCODING 'SQL_ASCII' LOCALE 'C'")
    url = await asyncio.to_thread(database.__enter__)
    with pytest.raises(StartError, match="UTF8"):
        await PostgresStore(url, ManualClock()).open()
    await asyncio.to_thread(database.__exit__, None, None, None)


async def test_a_database_that_is_not_there_is_unavailable(server: Server) -> None:
    """Its server answers, and says so."""
    with pytest.raises(Unavailable, match="nowhere"):
        await PostgresStore(server.url("nowhere"), ManualClock()).open()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://localhost:port/x", "expected postgresql://"),
        ("postgresql://u@h/x?sslmode=perhaps", "packhook supports prefer, disable, .* got 'perhaps'"),
    ],
)
async def test_an_invalid_url_is_reported(url: str, expected: str) -> None:
    """This happens before a connection is opened."""
    with pytest.raises(InvalidSettings, match=expected):
        await PostgresStore(url, ManualClock()).open()
