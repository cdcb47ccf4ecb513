"""Provide one node for each module, a relay before it, and clients of both kinds with an organization of the test."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from client.relay import Relay
from packhook_client import AsyncPackhook, Packhook
from support.api_node import OPERATOR_KEY, SENDING, running_node


class Flavour:
    """Use either client by the same words: ``ask("list_events", per_page=2)``. ``waits``: the pauses that it made."""

    def __init__(self, url: str, key: str, organization: str, *, is_async: bool, **options: Any) -> None:  # noqa: ANN401 the client's
        self.waits: list[float] = []
        self._loop = asyncio.new_event_loop() if is_async else None
        self.client: Packhook | AsyncPackhook
        if self._loop is None:
            http = httpx.Client(trust_env=False)
            self.client = Packhook(url, key, organization, http=http, sleep=self.waits.append, **options)
        else:
            http_of_loop = httpx.AsyncClient(trust_env=False)
            self.client = AsyncPackhook(url, key, organization, http=http_of_loop, sleep=self._pause, **options)
        self._http = self.client._http

    async def _pause(self, seconds: float) -> None:
        self.waits.append(seconds)

    def ask(self, method: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 any method
        """Return what a method returns; all items of an iterator."""
        return self.wait(getattr(self.client, method)(*args, **kwargs))

    def wait(self, result: Any) -> Any:  # noqa: ANN401 as above
        """Return the result of either client as a value, or a list."""
        if self._loop is not None and isinstance(result, Awaitable):
            return self._loop.run_until_complete(_awaited(result))
        if self._loop is not None and isinstance(result, AsyncIterator):
            return self._loop.run_until_complete(_collected(result))
        return list(result) if isinstance(result, Iterator) else result

    def close(self) -> None:
        """Close connections and the loop."""
        if self._loop is None:
            assert isinstance(self._http, httpx.Client)
            self._http.close()
            return
        assert isinstance(self._http, httpx.AsyncClient)
        self._loop.run_until_complete(self._http.aclose())
        self._loop.close()


async def _awaited(result: Awaitable[Any]) -> Any:  # noqa: ANN401 any result
    return await result


async def _collected(result: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in result]


@pytest.fixture(scope="module")
def node_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the URL of a node that may send to loopback."""
    with running_node(tmp_path_factory.mktemp("node"), **SENDING) as url:
        yield url


@pytest.fixture(scope="module")
def operator(node_url: str) -> Iterator[Packhook]:
    """Yield a client with the operator key, without an organization."""
    with Packhook(node_url, OPERATOR_KEY) as client:
        yield client


@pytest.fixture
def organization(operator: Packhook) -> str:
    """Create an organization that only this test sees, and return its id."""
    return operator.create_organization(f"client_{uuid4().hex[:12]}").id


@pytest.fixture(scope="module")
def relay(node_url: str) -> Iterator[Relay]:
    """Yield a relay before the node."""
    with Relay(node_url) as running:
        yield running


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def flavour(request: pytest.FixtureRequest, node_url: str, organization: str) -> Iterator[Flavour]:
    """Yield a client of either kind, with the operator key."""
    made = Flavour(node_url, OPERATOR_KEY, organization, is_async=request.param)
    yield made
    made.close()


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def relayed(request: pytest.FixtureRequest, relay: Relay, organization: str) -> Iterator[Flavour]:
    """Yield a client of either kind behind the relay. It notes its waits and does not make them."""
    relay.do()
    made = Flavour(relay.url, OPERATOR_KEY, organization, is_async=request.param)
    yield made
    made.close()
