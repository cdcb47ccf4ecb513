"""Many requests over one connection, by both doors: each answered once, in order, and never more held than a little."""

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

from api.node import OPERATOR_KEY, application, eventually, listening
from api.organization import EVENT, Organization
from api.raw import BODY, connected, one_answer, publishing
from packhook.api.publish import protocol
from packhook.api.publish.app import PublishApp
from packhook.api.publish.protocol import HttpProtocol
from packhook.settings import Settings
from packhook.testing import ManualClock

ORDER: Final[dict[str, object]] = json.loads(json.dumps(EVENT["data"]))
DOORS: Final = pytest.mark.parametrize("mark", ["", "?"], ids=["lean", "asgi"])
NO_KEY: Final = b"POST /v1/organizations/x/events HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"
NO_KEY_ASGI: Final = NO_KEY.replace(b"events ", b"events? ")
HEALTH: Final = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"
GARBAGE: Final = b"nonsense\r\n\r\n"
MOST_ON_THE_WAY: Final = 24 * 1024 * 1024  # what the kernels' buffers may take, and more


async def answers(url: str, sent: bytes, count: int) -> list[int]:
    """The statuses of so many answers to what is sent at once; shorter where the connection is closed before."""
    reader, writer = await connected(url)
    writer.write(sent)
    statuses: list[int] = []
    while len(statuses) < count and (answer := await one_answer(reader)) is not None:
        statuses.append(answer[0])
    writer.close()
    return statuses


async def published(organization: Organization) -> int:
    """How many events there are."""
    return len((await organization.contents())["/events"])


@pytest.mark.parametrize("refused", [NO_KEY, NO_KEY_ASGI], ids=["lean", "asgi"])
async def test_thousands_that_are_refused_behind_one_that_waits(
    node_url: str, organization: Organization, refused: bytes
) -> None:
    """However many are answered in one go, each is."""
    sent = publishing(organization.id) + refused * 2_000 + publishing(organization.id, mark="?") + HEALTH
    assert await answers(node_url, sent, 2_003) == [202, *[401] * 2_000, 202, 200]
    assert await published(organization) == 2


async def test_bodies_go_to_their_requests(node_url: str, organization: Organization) -> None:
    """Lean and not, in one piece and in chunks, good and bad, byte by byte: the answers come in the order of asking."""
    events = [
        (json.dumps({**EVENT, "data": {**ORDER, "reference": f"ref-{number}"}}).encode(), number)
        for number in range(12)
    ]
    parts = [
        publishing(organization.id, mark="?" * (number % 2), body=body, chunked=number % 3 == 0)
        for body, number in events
    ]
    parts.insert(5, publishing(organization.id, body=b"{"))
    parts.insert(9, NO_KEY_ASGI)
    reader, writer = await connected(node_url)
    for at in range(0, len(sent := b"".join(parts)), 7):
        writer.write(sent[at : at + 7])
        await writer.drain()
    came = [await one_answer(reader) for _ in parts]
    writer.close()
    assert [answer and answer[0] for answer in came] == [202] * 5 + [400] + [202] * 3 + [401] + [202] * 4
    ids = [json.loads(answer[2])["id"] for answer in came if answer and answer[0] == 202]
    kept = [(await organization.ask("GET", f"/events/{each}")).json()["data"]["reference"] for each in ids]
    assert kept == [f"ref-{number}" for number in range(12)]


@pytest.mark.parametrize("request_", [NO_KEY, NO_KEY_ASGI, HEALTH], ids=["lean", "asgi", "health"])
async def test_of_a_client_that_takes_no_answers_no_more_is_read(node_url: str, request_: bytes) -> None:
    """The answers that nobody takes do not fill the memory; when they are taken, it goes on."""
    reader, writer = await connected(node_url)
    writer.transport.pause_reading()  # type: ignore[attr-defined] # a transport of a stream reads
    many = request_ * 1_000
    sent = 0
    with suppress(TimeoutError):
        while sent < MOST_ON_THE_WAY:
            writer.write(many)
            sent += len(many)
            async with asyncio.timeout(2):
                await writer.drain()
    assert sent < MOST_ON_THE_WAY
    writer.transport.resume_reading()  # type: ignore[attr-defined] # as above
    for _ in range(3_000):
        assert await one_answer(reader) is not None
    writer.transport.abort()


async def test_no_more_is_read_while_requests_wait_for_their_turn(node_url: str, organization: Organization) -> None:
    """A client that asks faster than it is answered is slowed down, though it takes every answer."""
    reader, writer = await connected(node_url)
    many = publishing(organization.id) * 500
    sent = 0

    async def send() -> None:
        nonlocal sent
        while sent < 2 * MOST_ON_THE_WAY:
            writer.write(many)
            await writer.drain()
            sent += len(many)

    sending = asyncio.create_task(send())
    for _ in range(300):
        assert await one_answer(reader) is not None
    sending.cancel()
    writer.transport.abort()
    assert sent < MOST_ON_THE_WAY


@DOORS
async def test_what_is_no_request_is_refused_when_those_before_have_their_answers(
    node_url: str, organization: Organization, mark: str
) -> None:
    """Otherwise its refusal would be taken for theirs, which may be committed."""
    good = publishing(organization.id, mark=mark)
    assert await answers(node_url, good * 3 + GARBAGE, 5) == [202, 202, 202, 400]
    broken = publishing(organization.id, mark=mark, chunked=True).replace(b"\r\n0\r\n", b"\r\nzz\r\n")
    assert await answers(node_url, good * 3 + broken, 5) == [202, 202, 202, 400]
    assert await answers(node_url, broken, 2) == [400]
    assert await published(organization) == 6


@DOORS
async def test_a_request_has_one_answer_though_its_body_breaks(node_url: str, mark: str) -> None:
    """A request that was refused by its head gets no second answer when its body turns out to be invalid."""
    head = NO_KEY.replace(b"content-length: 0", b"transfer-encoding: chunked").replace(
        b"events ", f"events{mark} ".encode()
    )
    reader, writer = await connected(node_url)
    writer.write(head)
    first = await one_answer(reader)
    writer.write(b"zz\r\n")
    assert (first and first[0], await one_answer(reader)) == (401, None)
    writer.close()
    assert await answers(node_url, head + b"zz\r\n", 2) == [400]


@DOORS
async def test_behind_the_last_request_is_none(node_url: str, organization: Organization, mark: str) -> None:
    """Who says that the connection ends with this answer gets no more, and nothing more is done."""
    last = NO_KEY.replace(b"host: x", b"host: x\r\nconnection: close").replace(b"events ", f"events{mark} ".encode())
    assert await answers(node_url, last + publishing(organization.id, mark=mark), 2) == [401]
    assert await published(organization) == 0


@DOORS
async def test_a_trailer_is_no_header(node_url: str, organization: Organization, mark: str) -> None:
    """Not even one that would let the request in."""
    key = f"authorization: Bearer {OPERATOR_KEY}\r\n"
    request = publishing(organization.id, mark=mark, chunked=True).replace(key.encode(), b"", 1)
    sent = request.removesuffix(b"\r\n") + key.encode() + b"\r\n" + publishing(organization.id, mark=mark)
    assert await answers(node_url, sent, 2) == [401, 202]


@DOORS
@pytest.mark.parametrize("lines", [(), ("connection: keep-alive",)], ids=["silent", "keep-alive"])
async def test_a_connection_of_http_1_0_is_closed(
    node_url: str, organization: Organization, mark: str, lines: tuple[str, ...]
) -> None:
    """Whatever it asks for: after its answer, which says so."""
    reader, writer = await connected(node_url)
    writer.write(publishing(organization.id, *lines, mark=mark).replace(b"HTTP/1.1", b"HTTP/1.0"))
    answer = await one_answer(reader)
    assert answer is not None
    assert (answer[0], answer[1]["connection"]) == (202, "close")
    async with asyncio.timeout(10):
        assert await reader.read() == b""
    writer.close()


@DOORS
@pytest.mark.parametrize("extra", ["", "connection: close"], ids=["kept", "closed"])
async def test_another_protocol_is_declined(node_url: str, organization: Organization, mark: str, extra: str) -> None:
    """As Java's client and curl ask for HTTP/2 with a first request over HTTP/1.1: that is answered, body and all."""
    asking = ("connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: AAMAAABk")
    sent = publishing(organization.id, *asking, *filter(None, [extra]), mark=mark) + publishing(
        organization.id, mark=mark
    )
    assert await answers(node_url, sent, 2) == ([202] if extra else [202, 202])
    assert await published(organization) == (1 if extra else 2)


async def test_connect_is_refused(node_url: str) -> None:
    """This is no proxy."""
    assert await answers(node_url, b"CONNECT x:1 HTTP/1.1\r\nhost: x:1\r\n\r\n" + HEALTH, 2) == [400]


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
async def test_both_doors_answer_alike(node_url: str, organization: Organization, changed: tuple[bytes, bytes]) -> None:
    """Status, headers and problem, however the path is spelled."""
    said = []
    for mark in ("", "?", "?x=1"):
        reader, writer = await connected(node_url)
        writer.write(publishing(organization.id, mark=mark).replace(*changed, 1))
        answer = await one_answer(reader)
        writer.close()
        assert answer is not None
        status, headers, body = answer
        told = json.loads(body) | {"id": "", "created_at": ""}
        same = headers | {"x-request-id": "", "date": "date" in headers}
        said.append((status, same, told))
    assert said[0] == said[1] == said[2]


async def test_continue_is_said_when_the_body_is_wanted(node_url: str, organization: Organization) -> None:
    """In its turn, before the answer; not to who is refused."""
    reader, writer = await connected(node_url)
    head, body = publishing(organization.id, "expect: 100-continue").split(b"\r\n\r\n", 1)
    writer.write(publishing(organization.id) + head + b"\r\n\r\n")
    said = [await one_answer(reader), await one_answer(reader)]
    writer.write(body + NO_KEY.replace(b"host: x", b"host: x\r\nexpect: 100-continue"))
    said += [await one_answer(reader), await one_answer(reader)]
    writer.close()
    assert [answer and answer[0] for answer in said] == [202, 100, 202, 401]


async def test_long_paths_are_not_kept(api: httpx.AsyncClient) -> None:
    """Whoever asks for many long paths fills no memory; they are answered all the same."""
    publish = PublishApp(None, Settings())  # type: ignore[arg-type] # no request comes
    path = b"/v1/organizations/" + b"x" * 50_000 + b"/events"
    assert publish.match(path) is not None
    assert publish._match_cached.cache_info().currsize == 0
    assert (await api.post(path.decode(), json=EVENT)).status_code == 404


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[tuple[str, set[HttpProtocol]]]:
    """A server in this process, and its connections."""
    async with (
        application(folder, ManualClock()) as (_, service, _store),
        listening(service, Settings()) as serving,
    ):
        yield serving


async def ended(reader: asyncio.StreamReader) -> None:
    """The connection is closed before long."""
    async with asyncio.timeout(10):
        with suppress(ConnectionError):
            while await reader.read(65_536):
                pass


@pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])
@pytest.mark.parametrize(
    "more", [b"", b"\r\n", HEALTH[:9], NO_KEY.replace(b": 0", b": 9")], ids=["", "line", "head", "body"]
)
async def test_who_does_not_get_on_is_sent_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: bytes) -> None:
    """Idle after an answer, with an empty line, half a head or half a body besides."""
    monkeypatch.setattr(protocol, "CHECK_SECONDS", 0.02)
    monkeypatch.setattr(protocol, "IDLE_SECONDS", 0.2)
    monkeypatch.setattr(protocol, "SLOW_SECONDS", 0.2)
    async with served(tmp_path) as (url, _):
        reader, writer = await connected(url)
        writer.write(HEALTH)
        answer = await one_answer(reader)
        assert answer is not None
        writer.write(more)
        await ended(reader)
        writer.close()


@pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])
@pytest.mark.parametrize("request_", [NO_KEY, NO_KEY_ASGI], ids=["lean", "asgi"])
@pytest.mark.parametrize("then", [b"", GARBAGE], ids=["", "refused"])
async def test_who_takes_no_answers_is_sent_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request_: bytes, then: bytes
) -> None:
    """Also where the connection is to be closed, and only what was said last has not been taken."""
    monkeypatch.setattr(protocol, "CHECK_SECONDS", 0.02)
    monkeypatch.setattr(protocol, "SLOW_SECONDS", 0.3)
    async with served(tmp_path) as (url, connections):
        _, writer = await connected(url)
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
async def test_a_fault_of_ours_in_the_middle_of_reading_is_told_to_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """With its trace; it is no fault of the client's, who is told nothing: the connection is closed."""

    def broken(*_: object) -> None:
        raise RuntimeError("the inner secret of the server")

    monkeypatch.setattr(HttpProtocol, step, broken)
    async with served(tmp_path) as (url, _):
        with capture_logs() as lines:
            assert await answers(url, publishing("x"), 1) == []
    (line,) = lines
    assert (line["event"], line["log_level"], repr(line["exc_info"])) == (
        "unhandled_exception",
        "error",
        "RuntimeError('the inner secret of the server')",
    )


@pytest.mark.parametrize(
    "target",
    [b"http://x", b"*", b"http://x:99999999/", b"/a\xffb", b"http://"],
    ids=["host", "star", "port", "ÿ", "no"],
)
async def test_a_target_that_is_none_is_the_clients_fault(tmp_path: Path, target: bytes) -> None:
    """400 at the worst, and nothing in the log but that."""
    async with served(tmp_path) as (url, _):
        with capture_logs() as lines:
            status = await answers(url, HEALTH.replace(b"/health", target), 1)
    assert status in ([400], [404])
    assert [line for line in lines if line["event"] == "unhandled_exception"] == []


@pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])
@DOORS
@pytest.mark.parametrize("behind", [b"", NO_KEY * 3], ids=["", "others wait"])
async def test_what_a_client_that_left_had_sent_is_forgotten_at_once(tmp_path: Path, mark: str, behind: bytes) -> None:
    """Not when the collector comes round: it comes seldom, and a body may have 16 MiB."""
    request = publishing("x", mark=mark).partition(b"\r\n\r\n")[0].replace(b"events", b"events/batch")
    request = request.replace(b"content-length: %d" % len(BODY), b"content-length: 9000000")
    gc.collect()
    gc.disable()
    try:
        async with served(tmp_path) as (url, connections):
            _, writer = await connected(url)
            writer.write(behind + request + b"\r\n\r\n" + b" " * 50_000)
            assert await eventually(_requests, bool)
            writer.transport.abort()
            assert await eventually(_requests, lambda requests: not (connections or requests)) == 0
    finally:
        gc.enable()


async def test_the_headers_of_a_client_that_left_are_forgotten_at_once(tmp_path: Path) -> None:
    """Also where they were too many, and it was sent away itself."""
    gc.collect()
    gc.disable()
    try:
        async with served(tmp_path) as (url, connections):
            assert await answers(url, HEALTH[:-2] + b"a:\r\n" * 10_000, 1) == [400]
            assert await eventually(_headers, lambda headers: not connections and headers < 1_000, 3)
    finally:
        gc.enable()


async def _requests() -> int:
    """How many there are in memory."""
    return sum(isinstance(each, RequestResponseCycle) for each in gc.get_objects())


async def _headers() -> int:
    """How many the request has in memory that has the most."""
    return max(len(each) for each in gc.get_objects() if type(each) is list and each and type(each[0]) is tuple)


async def test_a_fault_behind_the_answer_is_told_to_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client has its answer already."""

    def broken(_: HttpProtocol) -> None:
        raise RuntimeError("the inner secret of the server")

    monkeypatch.setattr(HttpProtocol, "on_response_complete", broken)
    async with served(tmp_path) as (url, _):
        with capture_logs() as lines:
            assert await answers(url, NO_KEY, 1) == [401]
    assert [(line["event"], repr(line["exc_info"])) for line in lines] == [
        ("unhandled_exception", "RuntimeError('the inner secret of the server')")
    ]
