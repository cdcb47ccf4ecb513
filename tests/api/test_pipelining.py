"""Pipelined requests, published and other: one response each, in order, in bounded memory."""

import asyncio
import gc
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import httpx
import pytest
from structlog.testing import capture_logs
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from api.organization import EVENT, Organization
from api.raw import CREATE_WEBHOOK, PUBLISH, PUBLISH_WITH_QUERY, Post, connect, read_response
from packhook.api.publish import protocol
from packhook.api.publish.app import PublishApp
from packhook.api.publish.protocol import HttpProtocol
from packhook.api.routes import PUBLISH_ROUTES
from packhook.delivery.fair_queue import Turns
from packhook.settings import Settings
from packhook.testing import ManualClock
from support.api_node import OPERATOR_KEY, application, eventually, listening

ORDER: Final[dict[str, object]] = json.loads(json.dumps(EVENT["data"]))
POSTS: Final = pytest.mark.parametrize(
    "post", [PUBLISH, PUBLISH_WITH_QUERY, CREATE_WEBHOOK], ids=["publish", "query", "asgi"]
)
NO_KEY: Final = b"POST /v1/organizations/x/events HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"
NO_KEY_ASGI: Final = NO_KEY.replace(b"/events ", b"/webhooks ")
HEALTH: Final = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"
INVALID: Final = b"nonsense\r\n\r\n"
MAX_IN_TRANSIT: Final = 24 * 1024 * 1024  # more than the kernel's buffers take


async def statuses_of(url: str, sent: bytes, count: int) -> list[int]:
    """Send bytes at once; return the statuses of at most ``count`` responses, fewer if the connection is closed."""
    reader, writer = await connect(url)
    writer.write(sent)
    statuses: list[int] = []
    while len(statuses) < count and (response := await read_response(reader)) is not None:
        statuses.append(response[0])
    writer.close()
    return statuses


async def stored(organization: Organization, post: Post = PUBLISH) -> int:
    """Return how many events, or whatever ``post`` makes, there are."""
    return len((await organization.contents())[post.path.partition("?")[0]])


@pytest.mark.parametrize("refused", [NO_KEY, NO_KEY_ASGI], ids=["publish", "asgi"])
async def test_thousands_of_refused_requests_behind_one_that_waits(
    node_url: str, organization: Organization, refused: bytes
) -> None:
    """Each has its response, however many come at once."""
    sent = PUBLISH.request(organization.id) + refused * 2_000 + PUBLISH_WITH_QUERY.request(organization.id) + HEALTH
    assert await statuses_of(node_url, sent, 2_003) == [202, *[401] * 2_000, 202, 200]
    assert await stored(organization) == 2


async def test_bodies_go_to_their_requests(node_url: str, organization: Organization) -> None:
    """In one piece and in chunks, valid and invalid, a few bytes at a time: the responses are in order."""
    events = [
        (json.dumps({**EVENT, "data": {**ORDER, "reference": f"ref-{number}"}}).encode(), number)
        for number in range(12)
    ]
    parts = [
        (PUBLISH, PUBLISH_WITH_QUERY)[number % 2].request(organization.id, body=body, chunked=number % 3 == 0)
        for body, number in events
    ]
    parts.insert(5, PUBLISH.request(organization.id, body=b"{"))
    parts.insert(9, NO_KEY_ASGI)
    reader, writer = await connect(node_url)
    for start in range(0, len(sent := b"".join(parts)), 7):
        writer.write(sent[start : start + 7])
        await writer.drain()
    responses = [await read_response(reader) for _ in parts]
    writer.close()
    assert [response and response[0] for response in responses] == [202] * 5 + [400] + [202] * 3 + [401] + [202] * 4
    ids = [json.loads(response[2])["id"] for response in responses if response and response[0] == 202]
    stored = [(await organization.ask("GET", f"/events/{id_}")).json()["data"]["reference"] for id_ in ids]
    assert stored == [f"ref-{number}" for number in range(12)]


@pytest.mark.parametrize("request_", [NO_KEY, NO_KEY_ASGI, HEALTH], ids=["publish", "asgi", "health"])
async def test_nothing_is_read_while_the_client_takes_no_responses(node_url: str, request_: bytes) -> None:
    """Responses that are not taken do not fill the memory; when they are taken, the rest follows."""
    reader, writer = await connect(node_url)
    writer.transport.pause_reading()  # type: ignore[attr-defined] # a transport of a stream reads
    many = request_ * 1_000
    sent = 0
    with suppress(TimeoutError):
        while sent < MAX_IN_TRANSIT:
            writer.write(many)
            sent += len(many)
            async with asyncio.timeout(2):
                await writer.drain()
    assert sent < MAX_IN_TRANSIT
    writer.transport.resume_reading()  # type: ignore[attr-defined] # as above
    for _ in range(3_000):
        assert await read_response(reader) is not None
    writer.transport.abort()


async def test_nothing_is_read_while_requests_wait_for_their_turn(node_url: str, organization: Organization) -> None:
    """A client that sends faster than it is served is slowed down, though it takes every response."""
    reader, writer = await connect(node_url)
    many = PUBLISH.request(organization.id) * 500
    sent = 0

    async def send() -> None:
        nonlocal sent
        while sent < 2 * MAX_IN_TRANSIT:
            writer.write(many)
            await writer.drain()
            sent += len(many)

    sending = asyncio.create_task(send())
    for _ in range(300):
        assert await read_response(reader) is not None
    sending.cancel()
    writer.transport.abort()
    assert sent < MAX_IN_TRANSIT


@POSTS
async def test_invalid_bytes_are_refused_after_the_requests_before_them(
    node_url: str, organization: Organization, post: Post
) -> None:
    """Otherwise the 400 would be taken for the response to a publish, which may be committed."""
    good = post.request(organization.id)
    assert await statuses_of(node_url, good * 3 + INVALID, 5) == [*[post.status] * 3, 400]
    broken = post.request(organization.id, chunked=True).replace(b"\r\n0\r\n", b"\r\nzz\r\n")
    assert await statuses_of(node_url, good * 3 + broken, 5) == [*[post.status] * 3, 400]
    assert await statuses_of(node_url, broken, 2) == [400]
    assert await stored(organization, post) == 6


@POSTS
async def test_a_request_has_one_response_though_its_body_is_invalid(node_url: str, post: Post) -> None:
    """A request that was refused by its head gets no second answer when its body turns out to be invalid."""
    head = NO_KEY.replace(b"content-length: 0", b"transfer-encoding: chunked").replace(b"/events", post.path.encode())
    reader, writer = await connect(node_url)
    writer.write(head)
    first = await read_response(reader)
    writer.write(b"zz\r\n")
    assert (first and first[0], await read_response(reader)) == (401, None)
    writer.close()
    assert await statuses_of(node_url, head + b"zz\r\n", 2) == [400]


@POSTS
async def test_nothing_follows_connection_close(node_url: str, organization: Organization, post: Post) -> None:
    """What is sent after a request with ``connection: close`` is neither answered nor done."""
    last = NO_KEY.replace(b"host: x", b"host: x\r\nconnection: close").replace(b"/events", post.path.encode())
    assert await statuses_of(node_url, last + post.request(organization.id), 2) == [401]
    assert await stored(organization, post) == 0


@POSTS
async def test_a_trailer_is_not_a_header(node_url: str, organization: Organization, post: Post) -> None:
    """Not even ``authorization``."""
    key = f"authorization: Bearer {OPERATOR_KEY}\r\n"
    request = post.request(organization.id, chunked=True).replace(key.encode(), b"", 1)
    sent = request.removesuffix(b"\r\n") + key.encode() + b"\r\n" + post.request(organization.id)
    assert await statuses_of(node_url, sent, 2) == [401, post.status]


@POSTS
@pytest.mark.parametrize("lines", [(), ("connection: keep-alive",)], ids=["silent", "keep-alive"])
async def test_a_connection_of_http_1_0_is_closed(
    node_url: str, organization: Organization, post: Post, lines: tuple[str, ...]
) -> None:
    """After the response, which says so, whatever the request asks for."""
    reader, writer = await connect(node_url)
    writer.write(post.request(organization.id, *lines).replace(b"HTTP/1.1", b"HTTP/1.0"))
    response = await read_response(reader)
    assert response is not None
    assert (response[0], response[1]["connection"]) == (post.status, "close")
    async with asyncio.timeout(10):
        assert await reader.read() == b""
    writer.close()


@POSTS
@pytest.mark.parametrize("extra", ["", "connection: close"], ids=["kept", "closed"])
async def test_another_protocol_is_declined(node_url: str, organization: Organization, post: Post, extra: str) -> None:
    """Java's client and curl offer HTTP/2 in a first request over HTTP/1.1; it is answered over HTTP/1.1."""
    upgrade = ("connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: AAMAAABk")
    sent = post.request(organization.id, *upgrade, *filter(None, [extra])) + post.request(organization.id)
    count = 1 if extra else 2
    assert await statuses_of(node_url, sent, 2) == [post.status] * count
    assert await stored(organization, post) == count


@POSTS
@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("transfer-encoding: gzip, chunked", 501),
        ("transfer-encoding: gzip\r\ntransfer-encoding: chunked", 501),
        ("transfer-encoding: identity, chunked", 501),
        ("transfer-encoding: gzip", 501),
        ("transfer-encoding: identity", 501),
        ("connection: upgrade\r\nupgrade: h2c\r\ntransfer-encoding: gzip, chunked", 501),
        ("transfer-encoding: chunked\r\ntransfer-encoding: chunked", 400),
        ("transfer-encoding: chunked, chunked", 400),
        ("transfer-encoding:", 400),
        ("transfer-encoding: chunked\r\ncontent-length: 9", 400),
        ("expect: 200-ok\r\ntransfer-encoding: chunked", 417),
        ("expect: 100-continue\r\ntransfer-encoding: chunked", 0),
        ("te: trailers, gzip\r\nTransfer-Encoding: Chunked", 0),
    ],
)
async def test_a_coding_or_expectation_that_is_not_understood(
    node_url: str, organization: Organization, post: Post, line: str, status: int
) -> None:
    """It is refused in words, by both doors: what would be stored is not what was sent."""
    sent = post.request(organization.id, chunked=True).replace(b"transfer-encoding: chunked", line.encode())
    expected = [status] if status else [100, post.status] if "expect" in line else [post.status]
    assert await statuses_of(node_url, sent, len(expected)) == expected
    assert await stored(organization, post) == (0 if status else 1)


@POSTS
async def test_chunks_of_http_1_0_are_refused(node_url: str, organization: Organization, post: Post) -> None:
    """Its proxies do not know them, so the framing is in doubt (RFC 9112, 6.1)."""
    sent = post.request(organization.id, chunked=True).replace(b"HTTP/1.1", b"HTTP/1.0")
    assert await statuses_of(node_url, sent, 1) == [400]
    assert await stored(organization, post) == 0


@POSTS
@pytest.mark.parametrize("scheme", ["http", "HTTPS", "ftp"])
async def test_an_absolute_target(node_url: str, organization: Organization, post: Post, scheme: str) -> None:
    """It is that of its path (RFC 9112, 3.2.2), where it is one of http."""
    sent = post.request(organization.id).replace(b"POST /", b"POST %b://x/" % scheme.encode(), 1)
    assert await statuses_of(node_url, sent, 1) == [400 if scheme == "ftp" else post.status]


async def test_connect_is_refused(node_url: str) -> None:
    """packhook is not a proxy."""
    assert await statuses_of(node_url, b"CONNECT x:1 HTTP/1.1\r\nhost: x:1\r\n\r\n" + HEALTH, 2) == [400]


@pytest.mark.parametrize(
    "changed",
    [
        *[
            (b"", b""),
            (b"Bearer", b"Basic"),
            (b"application/json", b"text/plain"),
            (b"order.created", b"order.creatxx"),
        ],
        *[
            (b"host: x", b"host: x\r\ncontent-type: a/b"),
            (b"content-length: ", b"content-length: 999999"),
            (b'{"', b'{"\xff'),
        ],
        (b"/organizations/", b"/organizations/other-"),
    ],
    ids=["good", "no key", "media type", "code", "repeated", "large", "UTF-8", "no organization"],
)
async def test_an_empty_query_makes_no_difference(
    node_url: str, organization: Organization, changed: tuple[bytes, bytes]
) -> None:
    """In status, headers or problem."""
    responses = []
    for path in ("/events", "/events?", "/events?&"):
        reader, writer = await connect(node_url)
        writer.write(PUBLISH._replace(path=path).request(organization.id).replace(*changed, 1))
        response = await read_response(reader)
        writer.close()
        assert response is not None
        status, headers, body = response
        content = json.loads(body) | {"id": "", "created_at": ""}
        same = headers | {"x-request-id": "", "date": "date" in headers, "location": "location" in headers}
        responses.append((status, same, content))
    assert responses[0] == responses[1] == responses[2]


async def test_100_continue(node_url: str, organization: Organization) -> None:
    """Sent in its turn, when the body is read; not if the request is refused by its head."""
    reader, writer = await connect(node_url)
    head, body = PUBLISH.request(organization.id, "expect: 100-continue").split(b"\r\n\r\n", 1)
    writer.write(PUBLISH.request(organization.id) + head + b"\r\n\r\n")
    responses = [await read_response(reader), await read_response(reader)]
    writer.write(body + NO_KEY.replace(b"host: x", b"host: x\r\nexpect: 100-continue"))
    responses += [await read_response(reader), await read_response(reader)]
    writer.close()
    assert [response and response[0] for response in responses] == [202, 100, 202, 401]


async def test_long_targets_are_not_cached(api: httpx.AsyncClient) -> None:
    """Requests with many long targets do not fill the memory; they are answered all the same."""
    publish = PublishApp(PUBLISH_ROUTES, None, Settings(), Turns())  # type: ignore[arg-type] # no request comes
    path = b"/v1/organizations/" + b"x" * 50_000 + b"/events"
    assert publish.match(path) is not None
    assert publish._match_cached.cache_info().currsize == 0
    assert (await api.post(path.decode(), json=EVENT)).status_code == 404


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[tuple[str, set[HttpProtocol]]]:
    """Run a server in this process; yield its URL and its connections."""
    async with (
        application(folder, ManualClock()) as (_, service, _store),
        listening(service, Settings()) as serving,
    ):
        yield serving


async def closed(reader: asyncio.StreamReader) -> None:
    """Wait until the connection is closed."""
    async with asyncio.timeout(10):
        with suppress(ConnectionError):
            while await reader.read(65_536):
                pass


@pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])
@pytest.mark.parametrize(
    "more", [b"", b"\r\n", HEALTH[:9], NO_KEY.replace(b": 0", b": 9")], ids=["", "line", "head", "body"]
)
async def test_a_slow_or_idle_client_is_disconnected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: bytes
) -> None:
    """Idle after a response; also after an empty line, half a head or half a body."""
    monkeypatch.setattr(protocol, "CHECK_SECONDS", 0.02)
    monkeypatch.setattr(protocol, "IDLE_SECONDS", 0.2)
    monkeypatch.setattr(protocol, "SLOW_SECONDS", 0.2)
    async with served(tmp_path) as (url, _):
        reader, writer = await connect(url)
        writer.write(HEALTH)
        assert await read_response(reader) is not None
        writer.write(more)
        await closed(reader)
        writer.close()


@pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])
@pytest.mark.parametrize("request_", [NO_KEY, NO_KEY_ASGI], ids=["publish", "asgi"])
@pytest.mark.parametrize("then", [b"", INVALID], ids=["", "refused"])
async def test_a_client_that_takes_no_responses_is_disconnected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request_: bytes, then: bytes
) -> None:
    """Also if the connection is closing, and only the last response is not taken."""
    monkeypatch.setattr(protocol, "CHECK_SECONDS", 0.02)
    monkeypatch.setattr(protocol, "SLOW_SECONDS", 0.3)
    async with served(tmp_path) as (url, connections):
        _, writer = await connect(url)
        writer.transport.pause_reading()  # type: ignore[attr-defined] # as above
        with suppress(TimeoutError, ConnectionError):
            while True:
                writer.write(request_ * 500 + then)
                async with asyncio.timeout(0.2):
                    await writer.drain()
        async with asyncio.timeout(10):
            while connections:
                again = asyncio.Event()
                asyncio.get_running_loop().call_later(0.02, again.set)
                await again.wait()
        writer.transport.abort()


@pytest.mark.parametrize("step", ["_begin_publish", "on_url", "on_body", "on_message_complete"])
async def test_a_bug_while_parsing_is_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """With its traceback; the client gets no 400, which would blame it: the connection is closed."""

    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(HttpProtocol, step, broken)
    async with served(tmp_path) as (url, _):
        with capture_logs() as lines:
            assert await statuses_of(url, PUBLISH.request("x"), 1) == []
    (line,) = lines
    assert (line["event"], line["log_level"], repr(line["exc_info"])) == (
        "unhandled_exception",
        "error",
        "RuntimeError('a bug')",
    )


@pytest.mark.parametrize(
    "target",
    [b"http://x", b"*", b"http://x:99999999/", b"/a\xffb", b"http://"],
    ids=["host", "star", "port", "ÿ", "no"],
)
async def test_an_invalid_target_is_the_clients_fault(tmp_path: Path, target: bytes) -> None:
    """400 or 404, and nothing is logged as a bug."""
    async with served(tmp_path) as (url, _):
        with capture_logs() as lines:
            statuses = await statuses_of(url, HEALTH.replace(b"/health", target), 1)
    assert statuses in ([400], [404])
    assert [line for line in lines if line["event"] == "unhandled_exception"] == []


@pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])
@POSTS
@pytest.mark.parametrize("behind", [b"", NO_KEY * 3], ids=["", "others wait"])
async def test_what_a_disconnected_client_sent_is_released_at_once(tmp_path: Path, post: Post, behind: bytes) -> None:
    """Without the garbage collector: it runs seldom, and a body may have 16 MiB."""
    request = post.request("x").partition(b"\r\n\r\n")[0].replace(b"/events", b"/events/batch")
    request = request.replace(b"content-length: %d" % len(post.body), b"content-length: 9000000")
    gc.collect()
    gc.disable()
    try:
        async with served(tmp_path) as (url, connections):
            _, writer = await connect(url)
            writer.write(behind + request + b"\r\n\r\n" + b" " * 50_000)
            assert await eventually(_requests, bool)
            writer.transport.abort()
            assert await eventually(_requests, lambda requests: not (connections or requests)) == 0
    finally:
        gc.enable()


async def test_the_headers_of_a_disconnected_client_are_released_at_once(tmp_path: Path) -> None:
    """Also if they were too many, and packhook disconnected it."""
    gc.collect()
    gc.disable()
    try:
        async with served(tmp_path) as (url, connections):
            assert await statuses_of(url, HEALTH[:-2] + b"a:\r\n" * 10_000, 1) == [400]
            assert await eventually(_headers, lambda headers: not connections and headers < 1_000, 3)
    finally:
        gc.enable()


async def _requests() -> int:
    """Return how many requests are in memory."""
    return sum(issubclass(type(thing), RequestResponseCycle) for thing in gc.get_objects())


async def _headers() -> int:
    """Return the length of the longest list of headers in memory."""
    return max(len(thing) for thing in gc.get_objects() if type(thing) is list and thing and type(thing[0]) is tuple)


async def test_a_bug_after_the_response_is_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client has its response already."""

    def broken(_: HttpProtocol) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(HttpProtocol, "on_response_complete", broken)
    async with served(tmp_path) as (url, _):
        with capture_logs() as lines:
            assert await statuses_of(url, NO_KEY, 1) == [401]
    assert [(line["event"], repr(line["exc_info"])) for line in lines] == [
        ("unhandled_exception", "RuntimeError('a bug')")
    ]
