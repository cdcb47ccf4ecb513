"""Test odd responses: http and https treat each alike, as most clients do; the first status always counts.

The receivers are plain sockets in a thread, so that each byte, and each end, comes as it is written here.
"""

import asyncio
import socket
import ssl
import struct
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import pytest
from structlog.testing import capture_logs

from packhook.core.model import FailureKind
from packhook.delivery.http.client import HttpClient
from packhook.testing import ConnectProxy
from support.http_client import authority, request_to, sending, server_context, through_proxy

pytestmark = [pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"]), pytest.mark.usefixtures("scheme")]

SECONDS: Final = 10
RESET: Final = struct.pack("ii", 1, 0)
LARGE: Final = bytes(250_000)
Serve = Callable[[socket.socket], None]


@contextmanager
def serving(serve: Serve, scheme: str, connections: int = 1, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve so many connections, one after another; yield the URL."""

    def run() -> None:
        for _ in range(connections):
            with suppress(OSError):
                accepted, _ = listening.accept()
                accepted.settimeout(SECONDS)
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # Nagle may hold back what a reset drops
                with accepted:
                    if scheme == "http":
                        serve(accepted)
                        continue
                    wrapped = (context or authority()[0]).wrap_socket(
                        accepted, server_side=True, suppress_ragged_eofs=True
                    )
                    with wrapped:
                        serve(wrapped)

    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield f"{scheme}://127.0.0.1:{listening.getsockname()[1]}/"
        finally:
            listening.shutdown(socket.SHUT_RDWR)  # ends a wait for a connection that never came
            thread.join(SECONDS)


def receive_some(connection: socket.socket) -> bytes:
    """Receive something; ConnectionResetError at the end."""
    received = connection.recv(65_536)
    if not received:
        raise ConnectionResetError
    return received


def read_request(connection: socket.socket) -> bytes:
    """Read one whole request; ConnectionResetError where the connection ends before."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += receive_some(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(
        next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")).split(b":")[1]
    )
    while len(body) < length:
        body += receive_some(connection)
    return head + b"\r\n\r\n" + body


def answers(response: bytes) -> Serve:
    """Read the request, answer with these bytes, and close without close_notify."""

    def serve(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(response)
        if isinstance(connection, ssl.SSLSocket):
            with socket.socket(fileno=connection.detach()) as plain:
                plain.shutdown(socket.SHUT_RDWR)

    return serve


def answers_after_the_head(response: bytes, *, reset: bool = False) -> Serve:
    """Read the head only, answer, and close: with so much unread, the system resets the connection."""

    def serve(connection: socket.socket) -> None:
        connection.recv(1_000)
        connection.sendall(response)
        plain = socket.socket(fileno=connection.detach()) if isinstance(connection, ssl.SSLSocket) else connection
        if reset:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        plain.close()

    return serve


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    """Open a client that may connect to loopback."""
    async with sending() as opened:
        yield opened


CHUNKED: Final = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n"
DELIVERED: Final = {
    "closed at the end": (b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\ndone", 200, b"done"),
    "closed at the end, HTTP/1.0": (b"HTTP/1.0 200 OK\r\nServer: BaseHTTP/0.6\r\n\r\ndone", 200, b"done"),
    "closed at the end, no body": (b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", 200, b""),
    "401, closed at the end": (b"HTTP/1.0 401 No\r\n\r\nwho?", 401, b"who?"),
    "410, closed at the end": (b"HTTP/1.0 410 Gone\r\n\r\n", 410, b""),
    "429, closed at the end": (b"HTTP/1.0 429 Slow\r\nretry-after: 60\r\n\r\n", 429, b""),
    "two equal lengths": (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok", 200, b"ok"),
    "a list of equal lengths": (b"HTTP/1.1 200 OK\r\ncontent-length: 2, 2\r\n\r\nok", 200, b"ok"),
    "space before the colon": (b"HTTP/1.1 200 OK\r\ncontent-length : 2\r\n\r\nok", 200, b"ok"),
    "tab before the colon": (b"HTTP/1.1 200 OK\r\nx-a\t: b\r\ncontent-length: 2\r\n\r\nok", 200, b"ok"),
    "a folded header": (b"HTTP/1.1 200 OK\r\nx-a: b\r\n\tc\r\n d\r\ncontent-length: 2\r\n\r\nok", 200, b"ok"),
    "a folded length": (b"HTTP/1.1 200 OK\r\ncontent-length:\r\n 2\r\n\r\nok", 200, b"ok"),
    "LF alone": (b"HTTP/1.1 200 OK\ncontent-length: 2\n\nok", 200, b"ok"),
    "chunks with LF alone": (CHUNKED.replace(b"\r", b"") + b"\n2\nok\n0\n\n", 200, b"ok"),
    "chunks with LF in part": (CHUNKED + b"\r\n2\nok\r\n0\n\r\n", 200, b"ok"),
    "chunks with extensions": (CHUNKED + b'\r\n2;a="b;c"\r\nok\r\n0;x\r\n\r\n', 200, b"ok"),
    "chunks with white space": (CHUNKED + b"\r\n 2 \r\nok\r\n0 \r\n\r\n", 200, b"ok"),
    "chunks with zeros before the size": (CHUNKED + b"\r\n0000000002\r\nok\r\n000\r\n\r\n", 200, b"ok"),
    "chunks and trailers": (CHUNKED + b"\r\n2\r\nok\r\n0\r\nx-a: b\r\nx-c: d\r\n\r\n", 200, b"ok"),
    "chunks and a length": (CHUNKED + b"content-length: 9\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200, b"ok"),
    "chunks in HTTP/1.0": (CHUNKED.replace(b"1.1", b"1.0") + b"\r\n2\r\nok\r\n0\r\n\r\n", 200, b"ok"),
    "chunked, in capitals": (b"HTTP/1.1 200 OK\r\nTRANSFER-ENCODING: CHUNKED\r\n\r\n0\r\n\r\n", 200, b""),
    "identity": (b"HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\nok", 200, b"ok"),
    "identity and a length": (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\ncontent-length: 2\r\n\r\nok", 200, b"ok",
    ),
    "identity and chunked": (b"HTTP/1.1 200 OK\r\ntransfer-encoding: identity, chunked\r\n\r\n0\r\n\r\n", 200, b""),
    "no reason": (b"HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n", 200, b""),
    "an empty reason": (b"HTTP/1.1 200 \r\ncontent-length: 0\r\n\r\n", 200, b""),
    "two spaces before the status": (b"HTTP/1.1  200 OK\r\ncontent-length: 0\r\n\r\n", 200, b""),
    "a reason beyond ASCII": ("HTTP/1.1 200 Schön\r\ncontent-length: 0\r\n\r\n".encode(), 200, b""),
    "an empty line before": (b"\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200, b""),
    "an empty value": (b"HTTP/1.1 200 OK\r\nx-a:\r\ncontent-length: 0\r\n\r\n", 200, b""),
    "1xx before": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 P\r\n\r\nHTTP/1.1 202 A\r\ncontent-length: 0\r\n\r\n", 202, b"",
    ),
    "101": (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n\x00\x01", 101, b""),
    "101 without upgrade": (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", 101, b""),
    "204 with a length": (b"HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n", 204, b""),
    "304 with a length": (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", 304, b""),
    "more than its length": (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok and more", 200, b"ok"),
    "a long body": (b"HTTP/1.1 200 OK\r\n\r\n" + b"." * 70_000, 200, b"." * 65_536),
    "many one-byte chunks": (CHUNKED + b"\r\n" + b"1\r\n.\r\n" * 40_000 + b"0\r\n\r\n", 200, b"." * 40_000),
}  # fmt: skip

CUT: Final = (FailureKind.RESET, "the connection was closed before the whole response had come")
NOT_VALID: Final = (FailureKind.PROTOCOL, "the response is not valid HTTP")
NOT_HTTP: Final = (FailureKind.PROTOCOL, "the response is not HTTP/1.1")
TOO_LARGE: Final = (FailureKind.PROTOCOL, "the response's headers are too large")
OTHER_CODING: Final = (FailureKind.PROTOCOL, "the response has a transfer encoding that was not asked for")
FAILED: Final = {
    "a length that is not reached": (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", 200, b"half", CUT),
    "chunks without an end": (CHUNKED + b"\r\n4\r\nhalf\r\n", 200, b"half", CUT),
    "chunks cut in their data": (CHUNKED + b"\r\n9\r\nhalf", 200, b"half", CUT),
    "half a head": (b"HTTP/1.1 200 OK\r\ncontent-le", None, b"", CUT),
    "half a status line": (b"HTTP/1.", None, b"", CUT),
    "only 1xx": (b"HTTP/1.1 100 Continue\r\n\r\n", None, b"", CUT),
    "differing lengths": (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok", None, b"", NOT_VALID),
    "a length that is none": (b"HTTP/1.1 200 OK\r\ncontent-length: two\r\n\r\nok", None, b"", NOT_VALID),
    "a length with a sign": (b"HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nok", None, b"", NOT_VALID),
    "an endless length": (b"HTTP/1.1 200 OK\r\ncontent-length: " + b"9" * 5_000 + b"\r\n\r\n", None, b"", NOT_VALID),
    "no colon": (b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", None, b"", NOT_VALID),
    "no name": (b"HTTP/1.1 200 OK\r\n: value\r\n\r\n", None, b"", NOT_VALID),
    "a space in a name": (b"HTTP/1.1 200 OK\r\nx a: b\r\n\r\n", None, b"", NOT_VALID),
    "a CR in a header": (b"HTTP/1.1 200 OK\r\nx: a\rb\r\n\r\n", None, b"", NOT_VALID),
    "a fold before any header": (b"HTTP/1.1 200 OK\r\n x: a\r\n\r\n", None, b"", NOT_VALID),
    "a status of two digits": (b"HTTP/1.1 20 OK\r\n\r\n", None, b"", NOT_VALID),
    "a status of four digits": (b"HTTP/1.1 2000 OK\r\n\r\n", None, b"", NOT_VALID),
    "a status of letters": (b"HTTP/1.1 abc OK\r\n\r\n", None, b"", NOT_VALID),
    "no status": (b"HTTP/1.1\r\n\r\n", None, b"", NOT_VALID),
    "another minor version": (b"HTTP/1.7 200 OK\r\n\r\n", None, b"", NOT_VALID),
    "HTTP/2": (b"HTTP/2 200\r\n\r\n", None, b"", NOT_HTTP),
    "small letters": (b"http/1.1 200 OK\r\n\r\n", None, b"", NOT_HTTP),
    "gzip": (b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 200, b"", OTHER_CODING),
    "no size of a chunk": (CHUNKED + b"\r\n\r\nok", 200, b"", NOT_VALID),
    "a size with a sign": (CHUNKED + b"\r\n+2\r\nok\r\n0\r\n\r\n", 200, b"", NOT_VALID),
    "more than a chunk": (CHUNKED + b"\r\n2\r\nok and more\r\n0\r\n\r\n", 200, b"ok", NOT_VALID),
    "a header line of 70 KB": (b"HTTP/1.1 200 OK\r\nx: " + b"." * 70_000 + b"\r\n\r\n", None, b"", TOO_LARGE),
    "a name of 70 KB": (b"HTTP/1.1 200 OK\r\n" + b"x" * 70_000 + b": v\r\n\r\n", None, b"", TOO_LARGE),
    "a status line of 70 KB": (b"HTTP/1.1 200 " + b"." * 70_000 + b"\r\n\r\n", None, b"", TOO_LARGE),
    "a chunk's line of 70 KB": (CHUNKED + b"\r\n2;" + b"." * 70_000 + b"\r\nok\r\n", 200, b"", TOO_LARGE),
}  # fmt: skip


@pytest.mark.parametrize(("response", "status", "body"), DELIVERED.values(), ids=DELIVERED)
async def test_a_complete_response_counts(
    client: HttpClient, scheme: str, response: bytes, status: int, body: bytes
) -> None:
    """Even if the connection then ends without close_notify; the next request gets its own response."""
    with serving(answers(response), scheme, connections=2) as url:
        outcomes = [await client.send(request_to(url)) for _ in range(2)]
    assert [(outcome.failure, outcome.detail) for outcome in outcomes] == [(None, "")] * 2
    assert [(outcome.status_code, outcome.body) for outcome in outcomes] == [(status, body)] * 2


@pytest.mark.parametrize(("response", "status", "body", "failure"), FAILED.values(), ids=FAILED)
async def test_an_incomplete_response_is_a_failure(
    client: HttpClient,
    scheme: str,
    response: bytes,
    status: int | None,
    body: bytes,
    failure: tuple[FailureKind, str],
) -> None:
    """The part that was received is kept for the log."""
    with serving(answers(response), scheme) as url:
        outcome = await client.send(request_to(url))
    assert (outcome.failure, outcome.detail) == failure
    assert (outcome.status_code, outcome.body) == (status, body)


@pytest.mark.parametrize("reset", [False, True], ids=["closes", "resets"])
@pytest.mark.parametrize("status", [200, 413])
@pytest.mark.parametrize(
    "tail", [b"content-length: 2\r\n\r\nok", b"connection: close\r\n\r\nok"], ids=["length", "none"]
)
async def test_an_early_response_counts(client: HttpClient, scheme: str, status: int, tail: bytes, reset: bool) -> None:
    """The receiver read only the head, responded and closed while the body was written; no fault is logged."""
    response = b"HTTP/1.1 %d Status\r\n" % status + tail
    with serving(answers_after_the_head(response, reset=reset), scheme, connections=20) as url, capture_logs() as lines:
        outcomes = [await client.send(request_to(url, body=LARGE)) for _ in range(20)]
    assert {(outcome.status_code, outcome.failure, outcome.detail) for outcome in outcomes} == {(status, None, "")}
    assert lines == []


KEPT: Final = 12


@contextmanager
def ending(scheme: str, how: str) -> Iterator[tuple[str, Callable[[], None], list[bytes]]]:
    """Serve twelve connections at a time, end them all on request, then serve one more.

    Yield the URL, a function that ends them and returns when that is done, and the requests as they came.
    """
    received: list[bytes] = []
    end, ended = threading.Event(), threading.Event()
    response = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"

    def accept() -> socket.socket:
        accepted, _ = listening.accept()
        accepted.settimeout(SECONDS)
        return authority()[0].wrap_socket(accepted, server_side=True) if scheme == "https" else accepted

    def run() -> None:
        connections = [accept() for _ in range(KEPT)]
        received.extend(map(read_request, connections))
        for connection in connections:
            connection.sendall(response)
        end.wait(SECONDS)
        for connection in connections:
            if how == "reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            if how != "reads, then closes":
                connection.close()
        ended.set()
        if how == "reads, then closes":
            for connection in connections:
                connection.settimeout(0.05)
                with suppress(OSError):
                    received.append(read_request(connection))
                connection.close()
        last = accept()
        received.append(read_request(last))
        last.sendall(response)
        last.close()

    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        thread = threading.Thread(target=run, daemon=True)
        thread.start()

        def end_all() -> None:
            end.set()
            assert ended.wait(SECONDS)

        try:
            yield f"{scheme}://127.0.0.1:{listening.getsockname()[1]}/", end_all, received
        finally:
            thread.join(SECONDS)


@pytest.mark.parametrize("how", ["closed", "reset", "reads, then closes"])
async def test_dead_kept_connections_cost_nothing(client: HttpClient, scheme: str, how: str) -> None:
    """The request goes out over a new connection, within the attempt; over a dead one at most once before."""
    with ending(scheme, how) as (url, end_all, received):
        first = await asyncio.gather(*(client.send(request_to(url)) for _ in range(KEPT)))
        end_all()  # the event loop does not run meanwhile: the client sees nothing of it
        outcome = await client.send(request_to(url))
    assert {kept.status_code for kept in first} == {200}
    assert (outcome.status_code, outcome.failure) == (200, None)
    assert len(received) - KEPT == (2 if how == "reads, then closes" else 1)


async def test_a_required_client_certificate_is_always_named(client: HttpClient, scheme: str) -> None:
    """In TLS 1.3 the endpoint says so after the handshake, when the request may be on its way: 250 KB of it, here."""
    if scheme == "http":
        pytest.skip("there is no certificate in http")
    context = server_context()
    context.load_verify_locations(authority()[1])
    context.verify_mode = ssl.CERT_REQUIRED
    with serving(lambda _: None, scheme, connections=40, context=context) as url:
        outcomes = [await client.send(request_to(url, body=body)) for body in (b"small", LARGE) for _ in range(20)]
    words = "the endpoint wants a client certificate: set client_certificate on the webhook"
    assert {(outcome.failure, outcome.detail) for outcome in outcomes} == {(FailureKind.TLS, words)}


async def test_a_wrong_scheme_is_named(client: HttpClient, scheme: str) -> None:
    """TLS to a port that speaks http, and http to one that speaks TLS."""
    if scheme == "http":
        refusal = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"
        with serving(lambda connection: connection.sendall(refusal), "http") as url:
            outcome = await client.send(request_to(url.replace("http:", "https:")))
        words = "and answered something else: check the URL's scheme and port"
        assert (outcome.failure, outcome.detail.endswith(words)) == (FailureKind.TLS, True)
    else:
        with serving(answers(b"\x15\x03\x01\x00\x02\x02\x46"), "http") as url:  # an alert, as nginx sends it
            outcome = await client.send(request_to(url))
        words = "the response is not HTTP/1.1 but TLS: set an endpoint that begins with https://"
        assert (outcome.failure, outcome.detail) == (FailureKind.PROTOCOL, words)


async def test_odd_responses_are_treated_alike_through_the_proxy(scheme: str) -> None:
    """The tunnel carries the same bytes, and ends in the same ways."""
    response = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\ndone"
    async with ConnectProxy() as proxy, sending(through_proxy(proxy)) as client:
        with serving(answers(response), scheme) as url:
            outcome = await client.send(request_to(url))
    assert (outcome.status_code, outcome.body, outcome.failure) == (200, b"done", None)
