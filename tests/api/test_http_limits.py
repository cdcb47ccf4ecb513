"""Test the limits that hold before a client is authenticated, and repeated headers."""

import asyncio
import json
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx
import pytest

from api.organization import EVENT, Organization, body_of
from support.api_node import OPERATOR_KEY, bearer, eventually, running_node

PATHS: Final = pytest.mark.parametrize("path", [b"/events", b"/webhooks"], ids=["publish", "asgi"])


async def send_endlessly(url: str, head: bytes, endless: bytes, limit: int) -> tuple[bytes, int]:
    """Send a head that never ends; return the response, and after how many bytes the connection was closed."""
    reader, writer = await asyncio.open_connection(*url.removeprefix("http://").split(":"))
    sent = 0
    try:
        writer.write(head)
        while sent < limit:
            writer.write(endless)
            sent += len(endless)
            await writer.drain()
    except ConnectionError:
        pass
    try:
        async with asyncio.timeout(10):
            response = await reader.read(200)
    except ConnectionError:
        response = b""
    writer.close()
    return response, sent


@pytest.mark.parametrize(
    "endless", [b"x-filler: " + b"." * 1_000 + b"\r\n", b"." * 1_000], ids=["many headers", "one endless header"]
)
async def test_an_endless_head_is_cut(node_url: str, endless: bytes) -> None:
    """After 64 KiB, and what the kernel had in transit by then."""
    head = b"GET /health HTTP/1.1\r\nhost: x\r\nx-first: "
    response, sent = await send_endlessly(node_url, head, endless, 64 * 1024 * 1024)
    assert sent < 32 * 1024 * 1024
    assert response == b"" or response.startswith(b"HTTP/1.1 400 ")


@PATHS
async def test_an_endless_trailer_is_cut(node_url: str, path: bytes) -> None:
    """As a head is, though its request has its response."""
    head = b"POST /v1/organizations/x%b HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx-t: "
    response, sent = await send_endlessly(node_url, head % path, b"." * 1_000, 64 * 1024 * 1024)
    assert sent < 32 * 1024 * 1024
    assert response == b"" or response.startswith((b"HTTP/1.1 401 ", b"HTTP/1.1 400 "))


@PATHS
@pytest.mark.parametrize("end", [b"", b"content-length: 9\r\n\r\n"], ids=["unfinished", "whole"])
async def test_thousands_of_headers_are_refused(node_url: str, path: bytes, end: bytes) -> None:
    """An empty header is 4 bytes on the wire and 100 in memory."""
    reader, writer = await asyncio.open_connection(*node_url.removeprefix("http://").split(":"))
    writer.write(b"POST /v1/organizations/x%b HTTP/1.1\r\nhost: x\r\n" % path + b"a:\r\n" * 10_000 + end)
    async with asyncio.timeout(10):
        response = await reader.read(200)
    writer.close()
    assert response.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "first", [b"\r\n", b"nonsense\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00"], ids=["line", "words", "TLS"]
)
async def test_bytes_that_are_not_http(tmp_path: Path, first: bytes) -> None:
    """An empty line before a request is skipped; anything else is 400, and not logged as an error."""
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


@PATHS
async def test_trailers_are_counted_too(node_url: str, path: bytes) -> None:
    """They are dropped, but each is built first: a client that sends too many is disconnected."""
    head = b"POST /v1/organizations/x%b HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n" % path
    reader, writer = await asyncio.open_connection(*node_url.removeprefix("http://").split(":"))
    writer.write(head)
    async with asyncio.timeout(10):
        response = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"0\r\n" + b"a:\r\n" * 10_000)
        rest = await reader.read()
    writer.close()
    assert response.startswith(b"HTTP/1.1 401 ")
    assert b"HTTP/1.1" not in rest


async def test_a_large_head_within_the_limit_is_accepted(api: httpx.AsyncClient) -> None:
    """Cookies of a browser, for instance: 60 KiB, or 200 headers."""
    response = await api.get("/health", headers=[(f"x-{number}", "." * 1_000) for number in range(55)])
    assert response.status_code == 200
    response = await api.get("/health", headers=[(f"x-{number}", ".") for number in range(190)])
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("POST", "/events", "authorization"),
        ("POST", "/events", "idempotency-key"),
        ("POST", "/events", "content-type"),
        ("POST", "/events", "content-encoding"),
        ("POST", "/webhooks", "content-type"),
        ("GET", "/webhooks", "authorization"),
    ],
)
async def test_a_repeated_single_header_is_refused(
    organization: Organization, method: str, path: str, name: str
) -> None:
    """On every route: a proxy in front might read the other one."""
    single = {
        **bearer(OPERATOR_KEY),
        "content-type": "application/json",
        "content-encoding": "identity",
        "idempotency-key": "k",
    }
    request = organization.api.build_request(
        method,
        organization.path + path,
        headers=[*single.items(), (name, single[name])],
        json=EVENT if method == "POST" else None,
    )
    problem = body_of(await organization.api.send(request), 422)
    assert problem["errors"] == [{"field": name, "code": "repeated_header", "message": "expected this header once"}]
    assert (await organization.contents())["/events"] == []


async def test_the_errors_of_a_large_batch_are_bounded(organization: Organization) -> None:
    """The first hundred, each at its event."""
    events = [EVENT] * 500 + [{"event_code": "order.created", "data": {"id": "", "note": "." * 300}}] * 400
    problem = body_of(await organization.ask("POST", "/events/batch", json={"events": events}), 422)
    assert [error["field"] for error in problem["errors"]] == [
        f"/events/{500 + number}/data/id" for number in range(100)
    ]
    assert (await organization.contents())["/events"] == []


async def test_too_many_connections(tmp_path: Path) -> None:
    """503 with Retry-After and a problem; when one closes, the next is accepted; open ones go on."""
    with running_node(tmp_path, max_connections="2", trusted_proxies="127.0.0.1") as url:
        address = urlsplit(url)
        accepted = [await asyncio.open_connection(address.hostname, address.port) for _ in range(2)]
        for reader, writer in accepted:
            writer.write(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nretry-after: 1\r\n" in head
        assert json.loads(body)["type"].endswith("/unavailable")
        writer.close()
        accepted[0][1].close()
        await accepted[0][0].read()

        async def is_accepted() -> bool:
            reader, writer = await asyncio.open_connection(address.hostname, address.port)
            writer.write(b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            response = await reader.read()
            writer.close()
            return response.startswith(b"HTTP/1.1 200 ")

        assert await eventually(is_accepted, bool)
        accepted[1][1].write(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
        assert (await accepted[1][0].readuntil(b"\r\n\r\n")).endswith(b"\r\n\r\n")
        accepted[1][1].close()
