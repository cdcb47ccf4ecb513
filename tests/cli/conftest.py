"""Provide one node for each module of these tests, and a terminal with its own organization for each test."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from cli.terminal import Terminal, with_organization
from support.processes import SENDING, Node, running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Node]:
    """Run a node that may send to loopback, with three attempts per delivery."""
    async with running(tmp_path_factory.mktemp("node"), **SENDING) as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def terminal(node: Node) -> Terminal:
    """Return a terminal with the operator key and its own organization."""
    return await with_organization(node)
