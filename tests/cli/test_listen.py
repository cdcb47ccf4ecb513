"""Test ``packhook listen``: verify, print, fail on request, and exit by the result."""

import asyncio
import json
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Final

import httpx
import pytest

from api.organization import Organization
from support.processes import SENDING, Program, packhook, running, started

SECRET: Final = "q9NhjkjV9o"
WRONG: Final = {
    "a secret that is too short": (("--secret", "short"), "--secret: "),
    "a delay that is none": (("--delay", "soon"), "--delay: expected a duration"),
    "both": (("--secret", "short", "--delay", "soon"), "--secret: |--delay: "),
    "a status that is none": (("--status", "99"), "--status"),
}


@asynccontextmanager
async def _listening(*words: str) -> AsyncIterator[tuple[Program, str]]:
    """Run ``packhook listen`` and yield it with its URL."""
    async with started("listen", "--port", "0", *words) as listener:
        line = await listener.wait_for_line(lambda line: "listening" in line)
        yield listener, json.loads(line)["listening"] if "--json" in words else line.removeprefix("listening on ")


async def test_it_verifies_prints_and_fails_first(tmp_path: Path) -> None:
    """Respond with 500 twice, then 200; print one JSON object per line; exit 0 after the count."""
    words = ("--secret", "another-secret", "--secret", SECRET, "--fail-first", "2", "--count", "3", "--json")
    async with running(tmp_path, **SENDING) as node, _listening(*words) as (listener, url):
        async with node.client() as operator:
            organization = await Organization.create(operator)
            await organization.webhook(url + "/orders", secret=SECRET)
            event = await organization.publish(reference="A-1")
            detail = await organization.delivered(event["id"])
        assert await listener.wait() == 0
    assert [attempt["status_code"] for attempt in detail["attempts"]] == [500, 500, 200]
    lines = [json.loads(line) for line in listener.printed[1:]]
    times = [datetime.fromisoformat(line.pop("time")) for line in lines]
    assert times == sorted(times)
    same = {"event": "order.created", "id": event["id"], "verified": True, "path": "/orders", "order": "A-1"}
    assert lines == [same | {"attempt": str(number)} for number in (1, 2, 3)]


async def test_a_wrong_secret_gets_401_and_ends_with_1(tmp_path: Path) -> None:
    """Print NOT VERIFIED."""
    words = ("--secret", "not-the-secret", "--status", "204", "--count", "1")
    async with running(tmp_path, **SENDING) as node, _listening(*words) as (listener, url):
        async with node.client() as operator:
            organization = await Organization.create(operator)
            await organization.webhook(url, secret=SECRET)
            event = await organization.publish(reference="A-1")
            detail = await organization.delivered(event["id"])
        assert await listener.wait() == 1
    assert detail["attempts"][0]["status_code"] == 401, "whatever --status says"
    assert f"  order.created  {event['id']}  attempt 1  NOT VERIFIED: the signature" in listener.printed[1]
    assert listener.printed[1].endswith("  order A-1")


@pytest.mark.parametrize(
    ("words", "expected", "status", "code"),
    [((), "not checked", 200, 0), (("--secret", SECRET), "NOT VERIFIED", 401, 1)],
    ids=["without a secret", "with one"],
)
async def test_requests_that_are_no_webhooks(words: tuple[str, ...], expected: str, status: int, code: int) -> None:
    """Print requests that are no webhooks."""
    async with _listening("--count", "3", *words) as (listener, url), httpx.AsyncClient(trust_env=False) as client:
        for body in (b"\x00\xff", b"[]", b'{"data": 1}'):
            assert (await client.post(url, content=body)).status_code == status
        assert await listener.wait() == code
    assert [line.split("  ", 1)[1].partition(":")[0] for line in listener.printed[1:]] == [
        f"None  None  attempt None  {expected}"
    ] * 3


async def test_the_last_response_is_sent() -> None:
    """Exit after the last delayed response was sent."""
    async with _listening("--count", "1", "--delay", "200ms", "--status", "202") as (listener, url):
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.post(url, content=b"{}")).status_code == 202
        assert await listener.wait() == 0


async def test_hanging() -> None:
    """Send no response, and exit 0 on Ctrl-C."""
    async with _listening("--hang") as (listener, url), httpx.AsyncClient(trust_env=False) as client:
        pending = asyncio.create_task(client.post(url, content=b"{}", timeout=60))
        await listener.wait_for_line(lambda line: "not checked" in line)
        assert not pending.done()
        listener.send(signal.SIGINT)
        assert await listener.wait() == 0
        with pytest.raises(httpx.TransportError):
            await pending
    assert "Traceback" not in "".join(listener.printed)


@pytest.mark.parametrize(("words", "sentences"), WRONG.values(), ids=WRONG)
async def test_wrong_options(words: tuple[str, ...], sentences: str) -> None:
    """Name all invalid options. Exit 2."""
    code, out, err = await packhook("listen", "--port", "0", *words)
    assert (code, out) == (2, "")
    assert [item for item in sentences.split("|") if item not in err] == []


async def test_a_port_in_use() -> None:
    """Exit 1 with a message."""
    with socket.socket() as occupied:
        occupied.bind(("127.0.0.1", 0))
        occupied.listen()
        port = occupied.getsockname()[1]
        code, out, err = await packhook("listen", "--port", str(port))
    assert (code, out) == (1, "")
    assert err.startswith(f"cannot listen on 127.0.0.1:{port}: ")
    assert "Traceback" not in err


async def test_it_shows_the_exchange_on_request() -> None:
    """Print the headers and the body of the request and of the answer; escape what is not text."""
    words = ("--show-exchange", "--count", "3", "--fail-first", "1")
    async with _listening(*words) as (listener, url), httpx.AsyncClient(trust_env=False) as client:
        for body in (b'{"a": 1}\nb', b"\xff", b""):
            await client.post(f"{url}/orders", content=body, headers={"x-one": "1"})
        assert await listener.wait() == 0
    text = "\n".join(listener.printed)
    assert text.count("> POST /orders\n") == text.count("> x-one: 1\n") == 3
    assert '\n>\n> {"a": 1}\n> b\n< HTTP/1.1 500 Internal Server Error\n< content-length: 0\n' in text
    assert "\n> \\xff\n< HTTP/1.1 200 OK\n" in text


async def test_it_shows_the_exchange_as_json() -> None:
    """Add the headers, the body and the answer to each object; the answer is null where there is none."""
    words = ("--show-exchange", "--count", "1", "--json")
    for more, answer in (("--status", "204"), {"status": 204, "headers": {}, "body": ""}), (("--hang",), None):
        async with _listening(*words, *more) as (listener, url):
            async with httpx.AsyncClient(trust_env=False) as client:
                with suppress(httpx.TransportError):  # a receiver that hangs ends without an answer
                    await client.post(url, content=b"{}", headers={"x-one": "1"})
            assert await listener.wait() == 0
        line = json.loads(listener.printed[-1])
        assert (line["headers"]["x-one"], line["body"], line["response"]) == ("1", "{}", answer)
