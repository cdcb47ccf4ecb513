"""Test ``packhook listen --forward-to``: what goes on, what comes back, and what does not go on."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import httpx
import pytest

from packhook.cli.exits import Exit
from packhook.core.signatures.standard import SigningKey, sign
from packhook.testing import Receiver, Status
from support.processes import Program, packhook, started

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET: Final = "q9NhjkjV9o"
BODY: Final = b'{"id":"evt_1","data":{"id":"ord_1","reference":"A-1\\u001b[31m"}}'


def signed(body: bytes = BODY, secret: str = SECRET) -> list[tuple[str, str]]:
    """Return the headers of a delivery that is signed now, and two more."""
    now = int(time.time())
    signature = sign([SigningKey(secret)], "evt_1", now, body)
    known = [("webhook-id", "evt_1"), ("webhook-timestamp", str(now)), ("webhook-signature", signature)]
    return [*known, ("webhook-event", "order.created"), ("x-one", "1"), ("x-one", "2")]


@asynccontextmanager
async def forwarding(*words: str, to: str, secret: str = SECRET) -> AsyncIterator[tuple[Program, str]]:
    """Run ``packhook listen --forward-to``; yield it with its URL."""
    given = ("--forward-to", to, "--port", "0", "--output", "jsonl", *words)
    async with started("listen", *given, settings={"webhook_secret": secret}) as listener:
        line = await listener.wait_for_line(lambda line: "listening" in line)
        yield listener, json.loads(line)["listening"]


async def send(url: str, body: bytes = BODY, secret: str = SECRET, method: str = "POST") -> httpx.Response:
    """Send a signed request to the listener."""
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        return await client.request(method, f"{url}/orders?a=1", content=body, headers=signed(body, secret))


async def test_a_request_goes_on_as_it_came_and_the_response_comes_back() -> None:
    """Pass on method, body and headers, also repeated ones; return status, headers and body; print both."""
    async with Receiver(Status(418, {"x-app": "yes"}, b"short\x1b[0m and stout")) as application:
        target = f"{application.url}/hooks?b=2"
        async with forwarding("--count", "1", to=target) as (listener, url):
            response = await send(url, method="PATCH")
            assert await listener.wait() == Exit.FAILED, "the application did not accept it"
    (received,) = application.received
    assert (received.method, received.path, received.body) == ("PATCH", "/hooks?b=2", BODY)
    assert [value for name, value in received.raw_headers if name == "x-one"] == ["1", "2"]
    assert received.headers["host"] == f"127.0.0.1:{application.port}"
    assert received.headers["webhook-id"] == "evt_1"
    assert not {"accept-encoding", "user-agent"} - received.headers.keys(), "those of the sender"
    assert (response.status_code, response.headers["x-app"]) == (418, "yes")
    assert response.content == b"short\x1b[0m and stout"
    line = json.loads(listener.printed[-1])
    assert (line["verified"], line["order"], line["method"], line["path"]) == (
        True,
        "A-1\x1b[31m",
        "PATCH",
        "/orders?a=1",
    )
    assert (line["body"], line["headers"]["x-one"]) == (BODY.decode(), "2")
    assert (line["response"]["status"], line["forwarded"]["status"], line["forwarded"]["url"]) == (418, 418, target)
    assert line["forwarded"]["body"] == "short\x1b[0m and stout"
    assert "\x1b" not in "".join(listener.printed)


async def test_a_forged_request_does_not_go_on() -> None:
    """Respond with 401 and the reason; the application gets nothing."""
    async with (
        Receiver() as application,
        forwarding("--count", "2", to=application.url) as (listener, url),
    ):
        responses = [await send(url, secret="not-the-secret"), await send(url)]
        assert await listener.wait() == Exit.FAILED
    assert [response.status_code for response in responses] == [401, 200]
    assert responses[0].text == "the signature in webhook-signature does not match\n"
    assert len(application.received) == 1
    lines = [json.loads(line) for line in listener.printed[1:]]
    assert [(line["verified"], "forwarded" in line) for line in lines] == [(False, False), (True, True)]
    assert "the secret is wrong or the body was changed" in lines[0]["reason"]


async def test_an_application_that_is_away_is_a_502_in_words() -> None:
    """Say so to the sender and here; after it is back, go on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        target = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        async with forwarding("--count", "1", to=target) as (listener, url):
            response = await send(url)
            assert await listener.wait() == Exit.FAILED
    words = f"cannot reach {target}: Connection refused. Does your application run there?"
    assert (response.status_code, response.text) == (502, f"{words}\n")
    line = json.loads(listener.printed[-1])
    assert (line["forwarded"]["status"], line["forwarded"]["error"], line["response"]["status"]) == (None, words, 502)


async def test_the_first_ones_fail_and_do_not_go_on() -> None:
    """With --fail-first, respond with 500 before anything is forwarded."""
    async with (
        Receiver(Status(204)) as application,
        forwarding("--count", "2", "--fail-first", "1", to=application.url) as (listener, url),
    ):
        assert [(await send(url)).status_code for _ in range(2)] == [500, 204]
        assert await listener.wait() == Exit.DONE
    assert len(application.received) == 1


async def test_a_body_that_is_too_large_is_refused() -> None:
    """Respond with 413 before it is read to its end, and forward nothing."""
    async with (
        Receiver() as application,
        forwarding("--count", "2", to=application.url) as (listener, url),
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999\r\n\r\n" + b"x" * (1024 * 1024 + 1))
        assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
        writer.close()
        largest = b'"' + b"x" * (1024 * 1024 - 2) + b'"'  # of which the beginning is printed
        assert (await send(url, largest)).status_code == 200
        assert await listener.wait() == Exit.FAILED
    assert [received.body for received in application.received] == [largest]


async def test_people_read_both_responses() -> None:
    """Without --output, print a line, the request, and both responses; escape control characters."""
    async with Receiver(Status(202, {"x-app": "yes"}, b"a\x1b]0;title\x07")) as application:
        words = ("listen", "--forward-to", application.url, "--port", "0", "--count", "1", "--secret", SECRET)
        async with started(*words, "--host", "0.0.0.0") as listener:  # noqa: S104 of a container
            line = await listener.wait_for_line(lambda line: "listening" in line)
            assert line.startswith("listening on http://0.0.0.0:")
            await send(f"http://127.0.0.1:{line.rpartition(':')[2]}")
            assert await listener.wait() == Exit.DONE
    text = "\n".join(listener.printed)
    assert "attempt None  verified  order A-1\\x1b[31m  forwarded: 202" in text
    assert f"\n  forwarded to {application.url}\n  < 202\n  < x-app: yes\n" in text
    assert "\n< HTTP/1.1 202 Accepted\n" in text
    assert ("\x1b" in text, text.count("a\\x1b]0;title\\x07")) == (False, 2)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--forward-to", "127.0.0.1:3000"), "a URL such as"),
        (("--forward-to", "http://[x"), "--forward-to: "),
        (("--from-feed",), "--from-feed needs --forward-to"),
        (("--since", "2h"), "--since and --event-codes need --from-feed"),
        (("--forward-to", "http://a", "--hang"), "'--hang' has no effect with '--forward-to'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
async def test_what_is_not_clear_is_a_usage_error(words: tuple[str, ...], message: str) -> None:
    """Exit 2 with a message."""
    ran = await packhook("listen", *words)
    assert (ran.code, ran.out, message in ran.err) == (Exit.USAGE, "", True), ran.err
