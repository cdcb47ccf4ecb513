"""Test kept connections: a response that arrives before its request is never used for it."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest
import trustme

from packhook.core.model import Outcome
from packhook.delivery.http.client import HttpClient
from packhook.delivery.http.egress import Egress
from packhook.delivery.http.stream import read_tcp_info
from packhook.testing import Behaviour, Receiver, Split, Status
from packhook.testing.wire import Wire
from support.http_client import LOOPBACK, FakeDns, request_to, sending
from support.values import replaced

BOTH_LOOPS: Final = pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])
OK: Final = Outcome(status_code=200, headers=(("content-length", "0"),))
FORGED: Final = Status(200, {"x-forged": "1"}, b"forged").rendered
INFORMATIONAL: Final = b"HTTP/1.1 103 Early Hints\r\nx-forged: 1\r\n\r\n"
VERSIONS: Final = {"plain": None, "TLS 1.2": ssl.TLSVersion.TLSv1_2, "TLS 1.3": ssl.TLSVersion.TLSv1_3}


class ExtraBytes:
    """Answer, later write more, and keep the connection open. ``written`` is set once all of it is written."""

    early = False

    def __init__(self, more: bytes, *, when: asyncio.Event) -> None:
        self._more = more
        self._when = when
        self.written = asyncio.Event()

    async def write(self, wire: Wire) -> None:
        """Answer; once ``when`` is set, write more."""
        await wire.write(Status(200).rendered)
        await self._when.wait()
        await wire.write(self._more)
        self.written.set()
        await wire.gone()


@pytest.fixture(params=list(VERSIONS.values()), ids=list(VERSIONS))
async def receiver(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Receiver]:
    """Open a receiver that answers 200, over each kind of connection."""
    context = None
    if request.param is not None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.maximum_version = request.param
        authority.issue_cert("localhost").configure_cert(context)
    async with Receiver(tls=context, hostname="localhost") as listening:
        yield listening


@pytest.fixture
async def client(receiver: Receiver, tmp_path: Path) -> AsyncIterator[HttpClient]:
    """Open a client that resolves ``localhost`` to the receiver."""
    bundle = tmp_path / "authority.pem"
    egress = Egress(LOOPBACK, allow_http=True, resolve=FakeDns(("127.0.0.1",)))
    async with sending(egress, ca_bundle=bundle if receiver.url.startswith("https") else None) as opened:
        yield opened


def timeless(outcome: Outcome) -> Outcome:
    """Return the outcome without its duration."""
    return replaced(outcome, duration=0)


MORE: Final = pytest.mark.parametrize(
    "more",
    [FORGED, FORGED * 3, INFORMATIONAL, b"HTTP/1.1 2", b"nonsense\r\n\r\n"],
    ids=["answer", "answers", "1xx", "part", "nonsense"],
)


@BOTH_LOOPS
@MORE
async def test_an_unsolicited_response_on_an_idle_connection_is_dropped(
    client: HttpClient, receiver: Receiver, more: bytes
) -> None:
    """The next request is sent over a new connection, and gets its own response."""
    when = asyncio.Event()
    late = ExtraBytes(more, when=when)
    receiver.answers(late)
    first = await client.send(request_to(receiver.url))
    when.set()
    await asyncio.wait_for(late.written.wait(), 5)
    second = await client.send(request_to(receiver.url, body=b"second"))
    assert [timeless(first), timeless(second)] == [OK, OK]
    assert [got.body for got in receiver.received[1:]] == [b"second"]
    assert receiver.connections_made == 2


@BOTH_LOOPS
@pytest.mark.parametrize("behaviour", [Split(FORGED), Split(FORGED * 3), Split(INFORMATIONAL)], ids=lambda _: "")
async def test_bytes_after_a_response_are_no_response(
    client: HttpClient, receiver: Receiver, behaviour: Behaviour
) -> None:
    """A response that is split by a forged header counts once, and the connection is not reused."""
    receiver.answers(behaviour)
    outcomes = [await client.send(request_to(receiver.url)) for _ in range(3)]
    assert {outcome.status_code for outcome in outcomes} == {200}
    assert not any("x-forged" in dict(outcome.headers) for outcome in outcomes)
    assert len(receiver.received) == 3


@BOTH_LOOPS
@pytest.mark.parametrize("more", [FORGED, INFORMATIONAL], ids=["answer", "1xx"])
async def test_an_unsolicited_response_right_after_the_first_is_dropped(
    client: HttpClient, receiver: Receiver, more: bytes
) -> None:
    """Also when the TLS library has already read it, so that the socket has nothing to read."""
    at_once = asyncio.Event()
    at_once.set()
    receiver.answers(ExtraBytes(more, when=at_once))
    outcomes = [timeless(await client.send(request_to(receiver.url))) for _ in range(4)]
    assert outcomes == [OK] * 4
    assert len(receiver.received) in {4, 5}  # one may have been sent before the response was found to be unsolicited


@BOTH_LOOPS
async def test_good_connections_are_kept(client: HttpClient, receiver: Receiver) -> None:
    """Large and small requests, one after another, share one connection."""
    for size in (10, 250_000, 0, 60_000):
        assert timeless(await client.send(request_to(receiver.url, body=bytes(size)))) == OK
    assert receiver.connections_made == 1


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Yield two ends of a used TCP connection; the second has a small receive buffer."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        with socket.create_connection(listening.getsockname()) as local:
            remote, _ = listening.accept()
            with remote:
                local.sendall(b"request")
                remote.recv(100)
                remote.sendall(b"answer")
                local.recv(100)
                yield local, remote


def test_a_response_after_the_request_differs_from_one_sent_before_it(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """TCP acknowledges the request together with its response; one that was sent before cannot."""
    local, remote = pair
    before = read_tcp_info(local)
    if before is None:
        pytest.skip("this system does not count the bytes of a connection")
    local.sendall(b"request")
    remote.sendall(b"answer")
    answered = read_tcp_info(local)
    assert answered is not None
    assert (answered.acked_and_received_since(before), before.acked_and_received_since(before)) == (True, False)
    local.recv(100)
    fill(local, remote)
    full = read_tcp_info(local)
    remote.sendall(b"unasked")
    local.recv(100)
    after = read_tcp_info(local)
    assert full is not None
    assert after is not None
    assert (full.is_settled, after.received > full.received, after.acked_and_received_since(full)) == (
        False,
        True,
        False,
    )


def fill(full: socket.socket, remote: socket.socket) -> None:
    """Send until the buffers of both sides are full and everything that arrived is acknowledged."""
    full.setblocking(False)
    with suppress(BlockingIOError):
        while full.send(bytes(65_536)):
            pass
    full.settimeout(5)
    for _ in range(30):
        remote.sendall(b".")
        full.recv(1)
