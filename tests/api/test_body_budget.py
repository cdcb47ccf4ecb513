"""How many bytes of bodies a node holds at once: never more than it may, and no organization takes all of it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Final

import httpx
import pytest

from api.node import bearer, eventually, running_node
from api.organization import EVENT, Organization
from api.raw import connected, one_answer, publishing
from packhook.api.publish.body_budget import BodyBudget, Reservation
from packhook.core.errors import Unavailable

LIMIT: Final = 1024 * 1024
ORDER: Final[Any] = EVENT["data"]
LARGE: Final = 15 * 1024 * 1024
DOORS: Final = pytest.mark.parametrize("mark", ["", "?"], ids=["lean", "asgi"])


@pytest.fixture(scope="module")
def node_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A node that holds a mebibyte at once."""
    with running_node(tmp_path_factory.mktemp("small"), max_buffered_body_bytes=str(LIMIT)) as url:
        yield url


@asynccontextmanager
async def half_a_batch(
    url: str, organization: Organization, mark: str, size: int
) -> AsyncIterator[asyncio.StreamReader]:
    """A batch of which so many bytes are sent, and the rest is not."""
    reader, writer = await connected(url)
    head = publishing(organization.id, mark=mark, body=b"").replace(b"/events", b"/events/batch", 1)
    writer.write(head.replace(b"content-length: 0", b"content-length: %d" % LARGE) + b"." * size)
    await writer.drain()
    try:
        yield reader
    finally:
        writer.transport.abort()


async def status(organization: Organization) -> int:
    """Of a small publish."""
    return (await organization.ask("POST", "/events", json=EVENT)).status_code


@DOORS
async def test_a_node_that_is_full_says_when_to_come_again(
    node_url: str, organization: Organization, another: Organization, mark: str
) -> None:
    """While a body that was alone takes all there is; not a moment longer."""

    async def beside() -> httpx.Response:
        async with half_a_batch(node_url, organization, mark, LIMIT) as answer:
            with suppress(TimeoutError):
                await asyncio.wait_for(answer.read(1), 0.3)  # it has none, and its bytes have arrived
            assert (await another.ask("GET", "/events")).status_code == 200
            return await another.ask("POST", "/events", json=EVENT)

    refused = await eventually(beside, lambda answer: answer.status_code == 503)
    assert refused.headers["retry-after"] == "1"
    await eventually(lambda: status(another), lambda answered: answered == 202)


@DOORS
async def test_an_organization_leaves_room_for_the_others(
    node_url: str, organization: Organization, another: Organization, mark: str
) -> None:
    """Half of it at most, in however many bodies; the one that goes beyond is refused as it comes, the other is not."""
    half = partial(half_a_batch, node_url, organization, mark, LIMIT * 3 // 8)
    async with half() as first, half() as second:
        answers = [asyncio.create_task(one_answer(each)) for each in (first, second)]
        (refused,), (waits,) = await asyncio.wait(answers, return_when=asyncio.FIRST_COMPLETED)
        waits.cancel()
        answer = refused.result()
        assert answer is not None
        assert answer[0] == 503
        assert await status(another) == 202
        assert await status(organization) == 202


@DOORS
async def test_whatever_becomes_of_a_body_it_is_given_back(
    node_url: str, api: httpx.AsyncClient, organization: Organization, another: Organization, mark: str
) -> None:
    """Stored, refused, too large, broken off or never begun: afterwards there is room for all of it."""
    large = {**EVENT, "data": {**ORDER, "reference": "x" * 200_000}}
    path = f"/v1/organizations/{organization.id}/events{mark}"
    for _ in range(8):
        assert (await api.post(path, json=large)).status_code == 202
        assert (await api.post(path, json={**large, "event_code": "no"})).status_code == 422
        assert (
            await api.post(path, content=b"{" * 200_000, headers={"content-type": "application/json"})
        ).status_code == 400
        assert (await api.post(path, json={**EVENT, "data": {"reference": "x" * 300_000}})).status_code == 413
        assert (await api.post(path, json=large, headers=bearer("no"))).status_code == 401
        async with half_a_batch(node_url, organization, mark, 100_000):
            pass
    async with half_a_batch(node_url, organization, mark, LIMIT // 2):
        assert await status(another) == 202


def test_what_each_may_hold() -> None:
    """As much as is free, counted together with what it has; alone, one body whatever its size."""
    bodies = BodyBudget(100)
    first, second, other = Reservation(bodies, "a"), Reservation(bodies, "a"), Reservation(bodies, "b")
    first.grow(50)
    with pytest.raises(Unavailable):
        second.grow(1)
    other.grow(25)
    with pytest.raises(Unavailable):
        first.grow(1)
    other.release()
    other.release()
    first.grow(1_000)
    with pytest.raises(Unavailable):
        other.grow(1)
    first.release()
    second.grow(50)
    other.grow(25)
    second.release()
    other.release()
    first.grow(0)
    first.release()
    assert bodies._used_by == {}
