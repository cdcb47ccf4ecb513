"""Provide one node for all tests of the API, a client of it, and an organization for each test."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from api.organization import Organization
from packhook.testing import Receiver
from support.api_node import OPERATOR_KEY, SENDING, bearer, running_node


@pytest.fixture(scope="session")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the node's database."""
    return tmp_path_factory.mktemp("node")


@pytest.fixture(scope="session")
def node_url(node_folder: Path) -> Iterator[str]:
    """Yield the URL of a node that may send to loopback and makes three attempts within half a second."""
    with running_node(node_folder, **SENDING) as url:
        yield url


@pytest.fixture
async def api(node_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """Yield the operator's client."""
    async with httpx.AsyncClient(base_url=node_url, headers=bearer(OPERATOR_KEY), timeout=30) as client:
        yield client


@pytest.fixture
async def organization(api: httpx.AsyncClient) -> Organization:
    """Create an organization that only this test sees."""
    return await Organization.create(api)


@pytest.fixture
async def another(api: httpx.AsyncClient) -> Organization:
    """Create a second organization that only this test sees."""
    return await Organization.create(api)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Yield a receiver that responds with 200 and knows the secret of the documented example."""
    async with Receiver(secrets=("q9NhjkjV9o",)) as listening:
        yield listening
