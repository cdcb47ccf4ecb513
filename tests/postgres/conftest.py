"""Start one server for all tests, with a fresh database for each, and nodes on it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest

from packhook.store.postgres.store import PostgresStore
from packhook.testing.clock import ManualClock
from postgres.server import Server, running
from store.values import ACME, OTHER, new_entry, organization

OpenNode = Callable[[], Awaitable[PostgresStore]]


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """Start a PostgreSQL server."""
    with running() as started:
        yield started


@pytest.fixture
def url(server: Server) -> Iterator[str]:
    """Yield the URL of a fresh database with the schema."""
    with server.database() as fresh:
        yield fresh


@pytest.fixture
async def open_node(url: str) -> AsyncIterator[OpenNode]:
    """Yield a function that opens another node on the database; close all nodes at the end."""
    nodes: list[PostgresStore] = []

    async def open_one() -> PostgresStore:
        node = PostgresStore(url, ManualClock())
        await node.open()
        nodes.append(node)
        return node

    yield open_one
    for node in nodes:
        await node.close()


@pytest.fixture
async def node(open_node: OpenNode) -> PostgresStore:
    """Open a node on a database with two organizations."""
    opened = await open_node()
    await opened.create_organization(organization(ACME), new_entry())
    await opened.create_organization(organization(OTHER), new_entry())
    return opened


@pytest.fixture
async def other(node: PostgresStore, open_node: OpenNode) -> PostgresStore:  # noqa: ARG001 after it
    """Open a second node on the same database."""
    return await open_node()
