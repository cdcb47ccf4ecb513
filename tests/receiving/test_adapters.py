"""Test the adapters of web frameworks over real sockets: each does the same, whatever arrives."""

import asyncio
import importlib
import threading
from collections.abc import AsyncIterator
from typing import NamedTuple

import httpx
import pytest
import pytest_asyncio

from packhook_client.receiving import Delivery, InvalidSecret
from packhook_client.receiving.admission import MAX_BODY_BYTES
from receiving.messages import ENCODED, OTHER, Message, signed
from receiving.servers import FRAMEWORKS

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Running(NamedTuple):
    """Hold a receiver that runs, and what its handlers got."""

    client: httpx.AsyncClient
    handled: list[Delivery]
    threads: list[threading.Thread]

    async def post(self, path: str, message: Message) -> tuple[int, str]:
        """Send a message; return the status and the text of the response."""
        response = await self.client.post(path, content=message.body, headers=message.headers)
        return response.status_code, response.text


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=FRAMEWORKS)
async def running(request: pytest.FixtureRequest) -> AsyncIterator[Running]:
    """Run a receiver of each framework with three handlers."""
    handled: list[Delivery] = []
    threads: list[threading.Thread] = []

    def sync(delivery: Delivery) -> None:
        threads.append(threading.current_thread())
        handled.append(delivery)

    async def coroutine(delivery: Delivery) -> None:
        handled.append(delivery)

    def fails(delivery: Delivery) -> None:
        handled.append(delivery)
        raise RuntimeError("the database is away")

    handlers = {"sync": sync, "coroutine": coroutine, "fails": fails}
    async with (
        FRAMEWORKS[request.param](ENCODED, handlers) as url,
        httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as client,
    ):
        yield Running(client, handled, threads)


@pytest.fixture
def handled(running: Running) -> list[Delivery]:
    """Return what the handlers get in this test."""
    running.handled.clear()
    running.threads.clear()
    return running.handled


@pytest.mark.parametrize("path", ["/sync", "/coroutine"])
async def test_a_genuine_delivery_is_handled(running: Running, handled: list[Delivery], path: str) -> None:
    """Respond 204 without content when the handler has returned."""
    message = signed(ENCODED)
    assert await running.post(path, message) == (204, "")
    (delivery,) = handled
    assert (delivery.id, delivery.body) == (message.headers["webhook-id"], message.body)
    assert delivery.data["id"] == "ord_1"


@pytest.mark.parametrize(("secret", "body"), [(OTHER, None), (ENCODED, b"{}")], ids=["secret", "body"])
async def test_a_forged_request_is_refused(
    running: Running, handled: list[Delivery], secret: str, body: bytes | None
) -> None:
    """Respond 401 with a reason that reveals nothing; call no handler."""
    message = signed(secret)
    message = message if body is None else message._replace(body=body)
    status, reason = await running.post("/sync", message)
    assert status == 401
    assert "the signature in webhook-signature does not match" in reason
    assert "secret" not in reason
    assert handled == []


async def test_a_request_without_signature_is_refused(running: Running, handled: list[Delivery]) -> None:
    """Name the header that is missing."""
    status, reason = await running.post("/sync", Message({"content-type": "application/json"}, b"{}"))
    assert (status, "the header webhook-id is missing" in reason, handled) == (401, True, [])


async def test_an_old_request_is_refused(running: Running, handled: list[Delivery]) -> None:
    """Say how old it is."""
    status, reason = await running.post("/sync", signed(ENCODED, at=1_000))
    assert (status, "s in the past, at most 300 s are allowed" in reason, handled) == (401, True, [])


async def test_a_large_body_is_refused(running: Running, handled: list[Delivery]) -> None:
    """Respond 413 by the declared length, before anything is read."""
    reader, writer = await asyncio.open_connection(running.client.base_url.host, running.client.base_url.port)
    head = (
        f"POST /sync HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {MAX_BODY_BYTES + 1}\r\nconnection: close\r\n\r\n"
    )
    writer.write(head.encode())
    response = (await asyncio.wait_for(reader.readuntil(b" bytes"), 30)).decode()
    writer.close()
    assert response.partition(" ")[2].startswith("413 ")
    assert response.endswith(f"more than {MAX_BODY_BYTES} bytes")
    assert handled == []


async def test_a_handler_that_fails_is_a_500(running: Running, handled: list[Delivery]) -> None:
    """So that the event is sent again; the response does not show the error."""
    status, text = await running.post("/fails", signed(ENCODED))
    assert (status, len(handled)) == (500, 1)
    assert "database" not in text


async def test_other_methods_are_refused(running: Running, handled: list[Delivery]) -> None:
    """Respond 405."""
    assert (await running.client.get("/sync")).status_code == 405
    assert handled == []


async def test_a_handler_that_blocks_does_not_block_the_loop(running: Running, handled: list[Delivery]) -> None:
    """Call a handler that is not ``async`` in another thread."""
    assert await running.post("/sync", signed(ENCODED)) == (204, "")
    assert len(handled) == 1
    assert running.threads != [threading.main_thread()]


@pytest.mark.parametrize("name", ["aiohttp", "django", "flask", "starlette"])
async def test_a_secret_that_cannot_be_one_fails_at_the_start(name: str) -> None:
    """Not with the first request."""
    adapter = importlib.import_module(f"packhook_client.receiving.{name}")
    with pytest.raises(InvalidSecret, match="it is empty"):
        adapter.webhook("")


async def test_a_body_without_a_declared_length_is_bounded() -> None:
    """Respond 413 as soon as too much has arrived, where the server accepts chunked bodies."""

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(MAX_BODY_BYTES // 65_536 + 1):
            yield b"x" * 65_536

    def handler(delivery: Delivery) -> None:
        raise AssertionError(delivery)

    for name in ("Starlette", "aiohttp"):
        async with FRAMEWORKS[name](ENCODED, {"a": handler}) as url, httpx.AsyncClient(trust_env=False) as client:
            headers = signed(ENCODED).headers
            assert (await client.post(f"{url}/a", content=parts(), headers=headers)).status_code == 413
