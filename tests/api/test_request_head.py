"""Heads that are refused on every route: an encoded separator in the path, a bad ``Host``, an encoded body."""

import re
from typing import Final

import pytest

from api.organization import Organization
from api.raw import BODY, PUBLISH, PUBLISH_WITH_QUERY, Response, connect, read_response
from packhook.api.route import BASE
from packhook.api.routes import ROUTES
from support.api_node import OPERATOR_KEY

HEALTH: Final = b"GET /health HTTP/1.1\r\n%b\r\n"


async def response_to(url: str, request: bytes) -> Response:
    """Send a request over a new connection; return its response."""
    reader, writer = await connect(url)
    writer.write(request)
    response = await read_response(reader)
    writer.close()
    assert response is not None
    return response


def encoded_spellings(path: str) -> list[str]:
    """Return a route's path with an encoded separator: within each parameter, and in place of each ``/``."""
    plain = BASE + re.sub(r"{\w+}", "acme", path)
    within = [
        BASE
        + re.sub(r"{\w+}", "acme", path[: match.start()])
        + f"acme%2Fevents{re.sub('{.*?}', 'x', path[match.end() :])}"
        for match in re.finditer(r"{\w+}", path)
    ]
    instead = [
        plain[: match.start()] + code + plain[match.end() :]
        for match in re.finditer("/", plain)
        for code in ("%2F", "%2f", "%5C", "/%2e/", "/x/%2E./")
    ]
    return [*within, *(spelling for spelling in instead if spelling.startswith("/"))]


@pytest.mark.parametrize("route", ROUTES, ids=[f"{route.method} {route.path}" for route in ROUTES])
async def test_an_encoded_separator_is_in_no_route(node_url: str, route: object) -> None:
    """404, as RFC 3986, 2.2 has it: ``%2F`` is data in a segment, and no id contains it."""
    method, path = getattr(route, "method"), getattr(route, "path")  # noqa: B009 a generic type
    reader, writer = await connect(node_url)
    key = f"authorization: Bearer {OPERATOR_KEY}"
    for spelling in encoded_spellings(path):
        head = f"{method} {spelling} HTTP/1.1\r\nhost: x\r\n{key}\r\ncontent-type: application/json\r\n"
        writer.write(f"{head}content-length: {len(BODY)}\r\n\r\n".encode() + BODY)
        response = await read_response(reader)
        assert response is not None
        assert (response[0], response[1]["content-type"]) == (404, "application/problem+json"), spelling
    writer.close()


async def test_an_encoded_separator_does_not_publish(node_url: str, organization: Organization) -> None:
    """Encoded twice, it is part of an id. Other characters may be encoded."""
    request = PUBLISH.request(organization.id)
    for old, new, status in [
        (b"/events", b"%2Fevents", 404),
        (b"/events", b"%2fevents", 404),
        (b"/events", b"%2Fevents/batch", 404),
        (b"/events", b"%252Fevents", 405),
        (b"/events", b"/%65vents", 202),
        (b"/events", b"/events?next=%2F", 422),
        (b"/events", b"%5cevents", 404),
        (b"/events", b"/%2e/events", 404),
        (b"/events", b"/x/%2e./events", 404),
        (b"/events", b"/events/%2E", 404),
        (b"/events", b"/events#x", 400),
    ]:
        assert (await response_to(node_url, request.replace(old, new, 1)))[0] == status, new
    assert len((await organization.contents())["/events"]) == 1


GOOD_HOSTS: Final = [
    "x", "packhook.example.com", "packhook.example.com:8080", "127.0.0.1:80", "[::1]", "[2001:db8::1]:443", "a_b", "x:",
    "caf%C3%A9",
]  # fmt: skip
BAD_HOSTS: Final = [
    "", "x y", "x, y", "user@x", "x/y", "http://x", "x:port", "x:99999", "x:80:80", "::1", "[::1", "[:::1]", "[v1.x]",
    "x,y", "x%00", "x%0d%0a", "x;y", "a..b", ".", "(x)", "'x'", "x%2Fy",
    "x?", "x#", "x%zz", "caf\xe9", "x" * 300, "[::1%25eth0]", "\\x",
]  # fmt: skip


@pytest.mark.parametrize("host", GOOD_HOSTS)
async def test_good_host(node_url: str, organization: Organization, host: str) -> None:
    """Any host, with or without a port: a proxy may pass on what the client sent."""
    line = f"host: {host}".encode("latin-1")
    assert (await response_to(node_url, HEALTH % (line + b"\r\n")))[0] == 200
    assert (await response_to(node_url, PUBLISH.request(organization.id).replace(b"host: x", line)))[0] == 202


@pytest.mark.parametrize("lines", [[], ["x", "x"], ["x", "y"], *([host] for host in BAD_HOSTS)], ids=repr)
async def test_bad_host(node_url: str, organization: Organization, lines: list[str]) -> None:
    """None, two, or one that is not a host: 400, and nothing is published (RFC 9112, 3.2)."""
    headers = "".join(f"host: {host}\r\n" for host in lines).encode("latin-1")
    for request in (
        HEALTH % headers,
        PUBLISH.request(organization.id).replace(b"host: x\r\n", headers),
        PUBLISH_WITH_QUERY.request(organization.id).replace(b"host: x\r\n", headers),
    ):
        status, received, _ = await response_to(node_url, request)
        assert (status, received["connection"]) == (400, "close")
    assert (await organization.contents())["/events"] == []


@pytest.mark.parametrize("version", [b"1.2", b"2.0", b"0.9", b"3.0"])
async def test_another_version_is_refused(node_url: str, organization: Organization, version: bytes) -> None:
    """400, and nothing is published: its framing may mean something else."""
    for request in (HEALTH % b"host: x\r\n", PUBLISH.request(organization.id)):
        assert (await response_to(node_url, request.replace(b"HTTP/1.1", b"HTTP/" + version, 1)))[0] == 400
    assert (await organization.contents())["/events"] == []


async def test_http_1_0_needs_no_host(node_url: str) -> None:
    """Health checks of load balancers have none."""
    assert (await response_to(node_url, HEALTH.replace(b"1.1", b"1.0") % b""))[0] == 200
    assert (await response_to(node_url, HEALTH.replace(b"1.1", b"1.0") % b"host: x y\r\n"))[0] == 400


@pytest.mark.parametrize("path", ["/events", "/events?", "/events/batch", "/webhooks"])
@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip", "x"])
async def test_an_encoded_body_is_refused(node_url: str, organization: Organization, path: str, encoding: str) -> None:
    """415 and its name: what is stored and signed are the bytes of JSON."""
    request = PUBLISH.request(organization.id, f"content-encoding: {encoding}").replace(b"/events", path.encode(), 1)
    status, _, body = await response_to(node_url, request)
    assert (status, encoding.encode() in body) == (415, True)
    assert (await organization.contents())["/events"] == []


@pytest.mark.parametrize("encoding", ["identity", "Identity"])
async def test_identity_is_no_encoding(node_url: str, organization: Organization, encoding: str) -> None:
    """202, as without the header."""
    assert (await response_to(node_url, PUBLISH.request(organization.id, f"content-encoding: {encoding}")))[0] == 202
