"""Test the clock and the receiver that packhook ships for tests."""

import asyncio
import base64
import hashlib
import hmac
from typing import Final

import httpx
import pytest

from packhook.core.clock import Clock
from packhook.testing import Hang, ManualClock, Received, Receiver, Redirect, Reset, Status

SECRET: Final = "q9NhjkjV9o"


def signed(secret: bytes, body: bytes) -> dict[str, str]:
    """Return the headers of a Standard Webhooks 1.0.0 request that is signed with the key."""
    mac = hmac.digest(secret, b"evt_1.1722589200." + body, hashlib.sha256)
    token = f"v1,{base64.b64encode(mac).decode()}"
    return {"webhook-id": "evt_1", "webhook-timestamp": "1722589200", "webhook-signature": f"v1,bm8= {token}"}


def test_the_manual_clock_moves_only_on_request() -> None:
    """Forwards or back, in milliseconds."""
    clock: Clock = ManualClock(1_000)
    assert isinstance(clock, ManualClock)
    assert (clock.now(), clock.advance(250), clock.now(), clock.advance(-1_000)) == (1_000, 1_250, 1_250, 250)


async def test_the_receiver_records_requests() -> None:
    """Method, path, headers by lower-case name, and the exact body, in the order they came."""
    async with Receiver() as receiver, httpx.AsyncClient(base_url=receiver.url) as client:
        await client.post("/a?b=c", content=b"\x00one", headers={"X-Name": "v"})
        await client.post("/d", content=b"two")
        first, second = await receiver.wait_for(2)
    assert (first.method, first.path, first.headers["x-name"], first.body) == ("POST", "/a?b=c", "v", b"\x00one")
    assert (second.path, second.body, second.verified) == ("/d", b"two", None)
    assert second.at >= first.at


async def test_the_receiver_answers_from_its_queue_and_then_by_default() -> None:
    """The queue first, one behaviour per request; then the default answer, which may depend on the request."""

    def by_path(received: Received) -> Status:
        return Status(201 if received.path == "/new" else 404)

    async with Receiver(by_path) as receiver, httpx.AsyncClient(base_url=receiver.url) as client:
        receiver.answers(Status(503, {"retry-after": "7"}), Redirect("/elsewhere"))
        answers = [await client.post(path) for path in ("/new", "/new", "/new", "/old")]
    assert [answer.status_code for answer in answers] == [503, 302, 201, 404]
    assert (answers[0].headers["retry-after"], answers[1].headers["location"]) == ("7", "/elsewhere")


@pytest.mark.parametrize(
    ("secrets", "verified"),
    [((SECRET,), True), (("another1", SECRET), True), (("another1",), False), (("whsec_" + "YWJj" * 8,), False)],
)
async def test_receiver_verifies_signatures(secrets: tuple[str, ...], *, verified: bool) -> None:
    """With any of its secrets and any of the tokens."""
    body = b'{"id":"evt_1"}'
    async with Receiver(secrets=secrets) as receiver:
        async with httpx.AsyncClient() as client:
            await client.post(receiver.url, content=body, headers=signed(SECRET.encode(), body))
        assert receiver.received[0].verified is verified


async def test_receiver_knows_prefixed_secrets() -> None:
    """After ``whsec_`` the key is base64."""
    key = b"0123456789abcdef0123456789abcdef"
    async with Receiver(secrets=("whsec_" + base64.b64encode(key).decode(),)) as receiver:
        async with httpx.AsyncClient() as client:
            await client.post(receiver.url, content=b"{}", headers=signed(key, b"{}"))
        assert receiver.received[0].verified


async def test_a_failed_wait_reports_the_requests() -> None:
    """The message has the requests that arrived."""
    async with Receiver() as receiver, httpx.AsyncClient(base_url=receiver.url) as client:
        await client.post("/only", content=b"x")
        with pytest.raises(TimeoutError, match=r"expected 2 received within 0.01 s, got 1: \[<POST /only 1 bytes>\]"):
            await receiver.wait_for(2, timeout_seconds=0.01)


async def test_waiting_for_a_function_ends_when_it_is_true() -> None:
    """It is called at each request."""
    async with Receiver() as receiver, httpx.AsyncClient(base_url=receiver.url) as client:
        waiting = asyncio.create_task(receiver.wait_for(lambda got: any(one.path == "/b" for one in got)))
        await client.post("/a")
        assert not waiting.done()
        await client.post("/b")
        assert [one.path for one in await waiting] == ["/a", "/b"]


async def test_the_receiver_ends_its_answers() -> None:
    """Leaving it ends hanging answers, and the port is free again."""
    async with httpx.AsyncClient() as client:
        async with Receiver(Hang()) as receiver:
            hanging = asyncio.create_task(client.post(receiver.url))
            await receiver.wait_for(1)
        with pytest.raises(httpx.RemoteProtocolError):
            await hanging
        async with Receiver(port=receiver.port) as again:
            assert (await client.post(again.url)).status_code == 200


async def test_receiver_resets() -> None:
    """Another client sees a reset too."""
    async with Receiver(Reset()) as receiver, httpx.AsyncClient() as client:
        with pytest.raises(httpx.ReadError):
            await client.post(receiver.url)
