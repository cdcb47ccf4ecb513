"""A node for each module of these tests, and for each test a terminal with an organization of its own."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from cli.terminal import Terminal, with_organization
from node import SENDING, Node, running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Node]:
    """A node that may send to loopback, three attempts to a delivery."""
    async with running(tmp_path_factory.mktemp("node"), **SENDING) as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def terminal(node: Node) -> Terminal:
    """A terminal with the operator key and an organization of its own."""
    return await with_organization(node)
