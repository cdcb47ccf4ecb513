"""An answer on a kept connection that came before its request did is never taken for the request's."""

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
from packhook.delivery.http.tcp_info import read_tcp_info
from packhook.testing import Behaviour, Receiver, Split, Status
from packhook.testing.wire import Wire
from sending import LOOPBACK, FakeDns, request_to, sending
from support.values import replaced

BOTH_LOOPS: Final = pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])
OK: Final = Outcome(status_code=200, headers=(("content-length", "0"),))
FORGED: Final = Status(200, {"x-forged": "1"}, b"forged").rendered
INFORMATIONAL: Final = b"HTTP/1.1 103 Early Hints\r\nx-forged: 1\r\n\r\n"
VERSIONS: Final = {"plain": None, "TLS 1.2": ssl.TLSVersion.TLSv1_2, "TLS 1.3": ssl.TLSVersion.TLSv1_3}


class More:
    """A proper answer, then more; ``written`` is set once all of it is out. The connection stays open."""

    early = False

    def __init__(self, more: bytes, *, when: asyncio.Event) -> None:
        self._more = more
        self._when = when
        self.written = asyncio.Event()

    async def write(self, wire: Wire) -> None:
        """Answer, and once it is time say more."""
        await wire.write(Status(200).rendered)
        await self._when.wait()
        await wire.write(self._more)
        self.written.set()
        await wire.gone()


@pytest.fixture(params=list(VERSIONS.values()), ids=list(VERSIONS))
async def receiver(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Receiver]:
    """A receiver that answers 200, over each kind of connection."""
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
    """A client to which ``localhost`` is the receiver."""
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
async def test_unasked_answer_on_an_idle_connection_is_nobodys(
    client: HttpClient, receiver: Receiver, more: bytes
) -> None:
    """It lies there when the next request wants to go: that one goes over a new connection, and gets its own answer."""
    when = asyncio.Event()
    late = More(more, when=when)
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
async def test_answer_split_in_two_is_one(client: HttpClient, receiver: Receiver, behaviour: Behaviour) -> None:
    """What stands behind the end of an answer is no answer."""
    receiver.answers(behaviour)
    outcomes = [await client.send(request_to(receiver.url)) for _ in range(3)]
    assert {outcome.status_code for outcome in outcomes} == {200}
    assert not any("x-forged" in dict(outcome.headers) for outcome in outcomes)
    assert len(receiver.received) == 3


@BOTH_LOOPS
@pytest.mark.parametrize("more", [FORGED, INFORMATIONAL], ids=["answer", "1xx"])
async def test_unasked_answer_right_behind_the_first_is_nobodys(
    client: HttpClient, receiver: Receiver, more: bytes
) -> None:
    """Even where the TLS library has read it already, so that the socket has nothing to read."""
    at_once = asyncio.Event()
    at_once.set()
    receiver.answers(More(more, when=at_once))
    outcomes = [timeless(await client.send(request_to(receiver.url))) for _ in range(4)]
    assert outcomes == [OK] * 4
    assert len(receiver.received) in {4, 5}  # one may have gone out before the answer was seen to be nobody's


@BOTH_LOOPS
async def test_good_connections_are_kept_all_the_same(client: HttpClient, receiver: Receiver) -> None:
    """The care costs no connections: large and small requests, one after another, share one."""
    for size in (10, 250_000, 0, 60_000):
        assert timeless(await client.send(request_to(receiver.url, body=bytes(size)))) == OK
    assert receiver.connections_made == 1


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of a TCP connection over which something went each way; the second takes little without reading it."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        with socket.create_connection(listening.getsockname()) as ours:
            theirs, _ = listening.accept()
            with theirs:
                ours.sendall(b"request")
                theirs.recv(100)
                theirs.sendall(b"answer")
                ours.recv(100)
                yield ours, theirs


def test_answer_to_a_request_that_has_arrived_is_told_from_one_that_was_under_way(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """TCP acknowledges the request with its answer; one that was sent before cannot."""
    ours, theirs = pair
    before = read_tcp_info(ours)
    if before is None:
        pytest.skip("this system does not count the bytes of a connection")
    ours.sendall(b"request")
    theirs.sendall(b"answer")
    answered = read_tcp_info(ours)
    assert answered is not None
    assert (answered.acked_and_received_since(before), before.acked_and_received_since(before)) == (True, False)
    ours.recv(100)
    fill(ours, theirs)
    full = read_tcp_info(ours)
    theirs.sendall(b"unasked")
    ours.recv(100)
    after = read_tcp_info(ours)
    assert full is not None
    assert after is not None
    assert (full.is_settled, after.received > full.received, after.acked_and_received_since(full)) == (
        False,
        True,
        False,
    )


def fill(full: socket.socket, theirs: socket.socket) -> None:
    """Send until there is no more room on either side, and until all that has arrived is acknowledged."""
    full.setblocking(False)
    with suppress(BlockingIOError):
        while full.send(bytes(65_536)):
            pass
    full.settimeout(5)
    for _ in range(30):
        theirs.sendall(b".")
        full.recv(1)
