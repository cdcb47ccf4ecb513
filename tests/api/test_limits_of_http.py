"""What a client may not do to the server before anybody looked at its key."""

import asyncio
import json
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from api.node import OPERATOR_KEY, bearer, eventually, running_node
from api.organization import EVENT, Organization, taken


async def said(url: str, head: bytes, endless: bytes, most: int) -> tuple[bytes, int]:
    """What the server answers to a head that never ends, and after how many bytes it closes."""
    reader, writer = await asyncio.open_connection(*url.removeprefix("http://").split(":"))
    sent = 0
    try:
        writer.write(head)
        while sent < most:
            writer.write(endless)
            sent += len(endless)
            await writer.drain()
    except ConnectionError:
        pass
    try:
        async with asyncio.timeout(10):
            answer = await reader.read(200)
    except ConnectionError:
        answer = b""
    writer.close()
    return answer, sent


@pytest.mark.parametrize(
    "endless", [b"x-filler: " + b"." * 1_000 + b"\r\n", b"." * 1_000], ids=["many headers", "one endless header"]
)
async def test_an_endless_head_is_cut(node_url: str, endless: bytes) -> None:
    """At 64 KiB, and what the kernels had under way by then; long before it is a danger."""
    head = b"GET /health HTTP/1.1\r\nhost: x\r\nx-first: "
    answer, sent = await said(node_url, head, endless, 64 * 1024 * 1024)
    assert sent < 32 * 1024 * 1024
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("mark", [b"", b"?"], ids=["lean", "asgi"])
async def test_an_endless_trailer_is_cut(node_url: str, mark: bytes) -> None:
    """As a head is, though its request was answered long ago."""
    head = b"POST /v1/organizations/x/events%b HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx-t: "
    answer, sent = await said(node_url, head % mark, b"." * 1_000, 64 * 1024 * 1024)
    assert sent < 32 * 1024 * 1024
    assert answer == b"" or answer.startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize(
    "target", [b"/v1/organizations/x/events", b"/v1/organizations/x/events?"], ids=["lean", "asgi"]
)
@pytest.mark.parametrize("end", [b"", b"content-length: 9\r\n\r\n"], ids=["unfinished", "whole"])
async def test_thousands_of_headers_are_cut(node_url: str, target: bytes, end: bytes) -> None:
    """An empty header is 4 bytes on the wire and 100 in memory: its sender pays little, and would have us keep it."""
    reader, writer = await asyncio.open_connection(*node_url.removeprefix("http://").split(":"))
    writer.write(b"POST %b HTTP/1.1\r\nhost: x\r\n" % target + b"a:\r\n" * 10_000 + end)
    async with asyncio.timeout(10):
        answer = await reader.read(200)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "first", [b"\r\n", b"nonsense\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00"], ids=["line", "words", "TLS"]
)
async def test_what_is_no_request_at_all(tmp_path: Path, first: bytes) -> None:
    """An empty line before a request is passed over; anything else is refused, and no fault of ours."""
    with running_node(tmp_path) as url:
        reader, writer = await asyncio.open_connection(*url.removeprefix("http://").split(":"))
        writer.write(first)
        async with asyncio.timeout(10):
            if first == b"\r\n":
                writer.write(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
            assert (await reader.readuntil(b"\r\n")).split()[1] == (b"200" if first == b"\r\n" else b"400")
        writer.close()
    log = (tmp_path / "node.log").read_text()
    assert [line for line in log.splitlines() if '"level": "error"' in line] == []


@pytest.mark.parametrize("mark", [b"", b"?"], ids=["plain", "query"])
async def test_trailers_are_counted_too(node_url: str, mark: bytes) -> None:
    """They are kept nowhere, but each is built: a client that sends too many is disconnected."""
    head = b"POST /v1/organizations/x/events%b HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n" % mark
    reader, writer = await asyncio.open_connection(*node_url.removeprefix("http://").split(":"))
    writer.write(head)
    async with asyncio.timeout(10):
        answer = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"0\r\n" + b"a:\r\n" * 10_000)
        rest = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"HTTP/1.1" not in rest


async def test_a_large_head_within_the_limit_is_taken(api: httpx.AsyncClient) -> None:
    """Cookies of a browser, a long path: 60 KiB are still well."""
    answer = await api.get("/health", headers=[(f"x-{number}", "." * 1_000) for number in range(55)])
    assert answer.status_code == 200
    answer = await api.get("/health", headers=[(f"x-{number}", ".") for number in range(190)])
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("POST", "/events", "authorization"),
        ("POST", "/events", "idempotency-key"),
        ("POST", "/events", "content-type"),
        ("POST", "/webhooks", "content-type"),
        ("GET", "/webhooks", "authorization"),
    ],
)
async def test_a_header_that_means_something_only_once_is_refused_twice(
    organization: Organization, method: str, path: str, name: str
) -> None:
    """By both doors alike; a proxy in front might have taken the other one."""
    once = {**bearer(OPERATOR_KEY), "content-type": "application/json", "idempotency-key": "k"}
    request = organization.api.build_request(
        method,
        organization.path + path,
        headers=[*once.items(), (name, once[name])],
        json=EVENT if method == "POST" else None,
    )
    problem = taken(await organization.api.send(request), 422)
    assert problem["errors"] == [{"field": name, "code": "repeated_header", "message": "expected this header once"}]
    assert (await organization.contents())["/events"] == []


async def test_what_is_wrong_with_a_large_batch_is_told_at_a_bounded_length(organization: Organization) -> None:
    """The first hundred errors of the events that are wrong, each at its place."""
    events = [EVENT] * 500 + [{"event_code": "order.created", "data": {"id": "", "note": "." * 300}}] * 400
    problem = taken(await organization.ask("POST", "/events/batch", json={"events": events}), 422)
    assert [error["field"] for error in problem["errors"]] == [
        f"/events/{500 + number}/data/id" for number in range(100)
    ]
    assert (await organization.contents())["/events"] == []


async def test_a_connection_too_many_is_told_to_come_again(tmp_path: Path) -> None:
    """503 with Retry-After and a problem; a place that comes free is given to the next, and those inside go on."""
    with running_node(tmp_path, max_connections="2") as url:
        place = urlsplit(url)
        inside = [await asyncio.open_connection(place.hostname, place.port) for _ in range(2)]
        for reader, writer in inside:
            writer.write(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nretry-after: 1\r\n" in head
        assert json.loads(body)["type"].endswith("/unavailable")
        writer.close()
        inside[0][1].close()
        await inside[0][0].read()

        async def is_taken() -> bool:
            reader, writer = await asyncio.open_connection(place.hostname, place.port)
            writer.write(b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            said = await reader.read()
            writer.close()
            return said.startswith(b"HTTP/1.1 200 ")

        assert await eventually(is_taken, bool)
        inside[1][1].write(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
        assert (await inside[1][0].readuntil(b"\r\n\r\n")).endswith(b"\r\n\r\n")
        inside[1][1].close()
