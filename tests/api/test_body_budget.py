"""Test that the buffered bytes of published bodies are bounded, and no organization uses all of them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import Any, Final

import httpx
import pytest

from api.organization import EVENT, Organization
from api.raw import PUBLISH, connect, read_response
from packhook.core.errors import Overloaded
from packhook.core.fairness import FairShare
from support.api_node import bearer, eventually, running_node

LIMIT: Final = 1024 * 1024
ORDER: Final[Any] = EVENT["data"]


@pytest.fixture(scope="module")
def node_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a node that buffers one mebibyte."""
    with running_node(tmp_path_factory.mktemp("small"), max_buffered_body_bytes=str(LIMIT)) as url:
        yield url


@asynccontextmanager
async def half_a_batch(
    url: str, organization: Organization, size: int, whole: int = LIMIT, path: bytes = b"/events/batch"
) -> AsyncIterator[asyncio.StreamReader]:
    """Send ``size`` bytes of a batch of ``whole`` bytes, and never the rest; ``path`` is another route to send to."""
    reader, writer = await connect(url)
    head = PUBLISH.request(organization.id, body=b"").replace(b"/events", path, 1)
    writer.write(head.replace(b"content-length: 0", b"content-length: %d" % whole) + b"." * size)
    await writer.drain()
    try:
        yield reader
    finally:
        writer.transport.abort()


async def status(organization: Organization) -> int:
    """Publish a small event; return the status."""
    return (await organization.ask("POST", "/events", json=EVENT)).status_code


async def test_a_full_budget_is_503_with_retry_after(
    node_url: str, organization: Organization, another: Organization
) -> None:
    """Only while a body that was alone uses all of it."""

    async def publish_beside() -> httpx.Response:
        async with half_a_batch(node_url, organization, LIMIT - 1) as unfinished:
            with suppress(TimeoutError):
                await asyncio.wait_for(unfinished.read(1), 0.3)  # no response: its bytes are buffered
            assert (await another.ask("GET", "/events")).status_code == 200
            return await another.ask("POST", "/events", json=EVENT)

    refused = await eventually(publish_beside, lambda response: response.status_code == 503)
    assert refused.headers["retry-after"] == "1"
    await eventually(lambda: status(another), lambda code: code == 202)


async def test_an_organization_leaves_room_for_the_others(
    node_url: str, organization: Organization, another: Organization
) -> None:
    """One alone gets half, in however many bodies; the body that exceeds it is refused while it arrives."""
    half = partial(half_a_batch, node_url, organization, LIMIT * 3 // 8)
    async with half() as first, half() as second:
        responses = [asyncio.create_task(read_response(reader)) for reader in (first, second)]
        (refused,), (waiting,) = await asyncio.wait(responses, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        response = refused.result()
        assert response is not None
        assert response[0] == 503
        assert await status(another) == 202
        assert await status(organization) == 202


async def test_bodies_of_other_routes_count(node_url: str, organization: Organization, another: Organization) -> None:
    """Refuse unfinished bodies of webhooks beyond the share; another organization creates one."""
    async with AsyncExitStack() as stack:
        part = partial(half_a_batch, node_url, organization, 60_000, 64_000, b"/webhooks")
        readers = [await stack.enter_async_context(part()) for _ in range(LIMIT // 60_000 + 1)]
        responses = [asyncio.create_task(read_response(reader)) for reader in readers]
        refused = await next(asyncio.as_completed(responses))
        for waiting in responses:
            waiting.cancel()
        await another.webhook()
    assert refused is not None
    assert refused[0] == 503


async def test_a_body_that_never_fits_is_refused_in_words(node_url: str, organization: Organization) -> None:
    """Respond with 413, not 503, to a body that is larger than the whole budget."""
    async with half_a_batch(node_url, organization, 1, LIMIT + 1) as reader:
        response = await read_response(reader)
    assert response is not None
    assert response[0] == 413
    assert f"the body may have {LIMIT} bytes, this has {LIMIT + 1}" in response[2].decode()


async def test_the_bytes_of_every_body_are_returned(
    node_url: str, api: httpx.AsyncClient, organization: Organization, another: Organization
) -> None:
    """Stored, refused, too large, aborted or without a key: afterwards the whole budget is free."""
    large = {**EVENT, "data": {**ORDER, "reference": "x" * 200_000}}
    path = f"/v1/organizations/{organization.id}/events"
    for _ in range(8):
        assert (await api.post(path, json=large)).status_code == 202
        assert (await api.post(path, json={**large, "event_code": "no"})).status_code == 422
        assert (
            await api.post(path, content=b"{" * 200_000, headers={"content-type": "application/json"})
        ).status_code == 400
        assert (await api.post(path, json={**EVENT, "data": {"reference": "x" * 300_000}})).status_code == 413
        assert (await api.post(path, json=large, headers=bearer("no"))).status_code == 401
        async with half_a_batch(node_url, organization, 100_000):
            pass
    async with half_a_batch(node_url, organization, LIMIT // 2):
        assert await status(another) == 202


def test_share_of_an_organization() -> None:
    """At most as much as is free; a body that is alone may have any size."""
    budget = FairShare(100, "too much")
    first, second, other = budget.reserve("a"), budget.reserve("a"), budget.reserve("b")
    first.grow(50)
    with pytest.raises(Overloaded):
        second.grow(1)
    other.grow(25)
    with pytest.raises(Overloaded):
        first.grow(1)
    other.release()
    other.release()
    first.grow(1_000)
    with pytest.raises(Overloaded):
        other.grow(1)
    first.release()
    second.grow(50)
    other.grow(25)
    second.release()
    other.release()
    first.grow(0)
    first.release()
    assert budget._used_by == {}
