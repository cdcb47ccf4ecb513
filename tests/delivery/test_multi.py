"""libcurl on the event loop: what is watched stays watched, never spins, and is never another's socket."""

import asyncio
import os
import selectors
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pycurl
import pytest
import trustme

from packhook.core.model import FailureKind, Outcome
from packhook.delivery import multi
from packhook.delivery.egress import Egress
from packhook.delivery.send import Sender
from packhook.testing import Hang, Receiver, Status
from packhook.testing.wire import Wire
from sending import LOOPBACK, FakeDns, request_to, sending

pytestmark = pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])

VERSIONS: Final = {"plain": None, "TLS 1.2": ssl.TLSVersion.TLSv1_2, "TLS 1.3": ssl.TLSVersion.TLSv1_3}


class Counted(selectors.DefaultSelector):
    """A selector that counts what is done with it."""

    did: Counter[str]

    def register(self, fileobj: Any, events: int, data: object = None) -> selectors.SelectorKey:  # noqa: ANN401 as there
        """As ever, but counted."""
        self.did["watched"] += 1
        return super().register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:  # noqa: ANN401 as there
        """As ever, but counted."""
        self.did["left"] += 1
        return super().unregister(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """As ever, but counted."""
        self.did["looked"] += 1
        return super().select(timeout)


class Later:
    """200, and once it is time ``more``, or the end of the connection."""

    early = False

    def __init__(self, more: bytes) -> None:
        self._more = more
        self.when = asyncio.Event()
        self.done = asyncio.Event()

    async def write(self, wire: Wire) -> None:
        """Answer, and later say or do what nobody asked for."""
        await wire.write(Status(200).rendered)
        await self.when.wait()
        if self._more:
            await wire.write(self._more)
        else:
            wire.close()
        self.done.set()
        await wire.gone()


@pytest.fixture
def did(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """What was done with the selector of the sender."""
    monkeypatch.setattr(multi, "selectors", SimpleNamespace(DefaultSelector=Counted))
    Counted.did = Counter()
    return Counted.did


@pytest.fixture
def authority() -> trustme.CA:
    """Who vouches for the receiver."""
    return trustme.CA()


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> Path:
    """The authority as a file."""
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    return tmp_path / "authority.pem"


@pytest.fixture(params=list(VERSIONS.values()), ids=list(VERSIONS))
def tls(request: pytest.FixtureRequest, authority: trustme.CA) -> ssl.SSLContext | None:
    """What the receiver speaks."""
    if request.param is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = request.param
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture
async def receiver(tls: ssl.SSLContext | None) -> AsyncIterator[Receiver]:
    """A receiver that answers 200."""
    async with Receiver(tls=tls, hostname="localhost") as listening:
        yield listening


@pytest.fixture
async def sender(monkeypatch: pytest.MonkeyPatch, did: Counter[str], bundle: Path) -> AsyncIterator[Sender]:  # noqa: ARG001 it is counted
    """A sender over libcurl alone, to which ``localhost`` is the receiver."""
    monkeypatch.setattr("sending.only_libcurl", True)
    egress = Egress(LOOPBACK, allow_http=True, resolve=FakeDns(("127.0.0.1",)))
    async with sending(egress, ca_bundle=bundle) as opened:
        yield opened


async def a_moment() -> None:
    """Let the loop turn for 200 ms."""
    over = asyncio.Event()
    asyncio.get_running_loop().call_later(0.2, over.set)
    await over.wait()


async def test_a_request_on_a_kept_connection_changes_nothing_that_is_watched(
    sender: Sender, receiver: Receiver, did: Counter[str]
) -> None:
    """However many there are."""
    assert (await sender.send(request_to(receiver.url))).status_code == 200
    did.clear()
    for _ in range(20):
        assert (await sender.send(request_to(receiver.url))).status_code == 200
    assert (did["watched"], did["left"], receiver.connections_made) == (0, 0, 1)


@pytest.mark.parametrize("more", [b"", b"unasked"], ids=["closes", "talks"])
async def test_what_happens_while_idle_is_seen_once(
    sender: Sender, receiver: Receiver, did: Counter[str], more: bytes
) -> None:
    """No loop that spins until the next request; and that one goes over a new connection."""
    later = Later(more)
    receiver.answers(later)
    assert (await sender.send(request_to(receiver.url))).status_code == 200
    await a_moment()
    did.clear()
    later.when.set()
    await later.done.wait()
    await a_moment()
    assert (did["watched"], did["left"]) == (0, 1)
    assert 1 <= did["looked"] <= 5
    did.clear()
    await a_moment()
    assert did == {}
    for _ in range(2):
        assert (await sender.send(request_to(receiver.url))).status_code == 200
    assert receiver.connections_made == 2


async def test_nothing_turns_while_a_request_waits(sender: Sender, receiver: Receiver, did: Counter[str]) -> None:
    """A socket that could be written to is not watched for that when there is nothing to write."""
    receiver.answers(Hang())
    under_way = asyncio.ensure_future(sender.send(request_to(receiver.url, timeout=5_000)))
    await receiver.wait_for(1)
    await a_moment()
    did.clear()
    await a_moment()
    assert did == {}
    under_way.cancel()
    await asyncio.wait([under_way])


async def test_the_number_of_a_closed_socket_is_anybodys(
    sender: Sender, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another connection of this process has it next, and neither disturbs the other, however often it goes round."""
    loop = asyncio.get_running_loop()
    made: set[int] = set()
    taken: set[int] = set()
    sockets = sender._curl._sockets
    really = sockets.made

    def note(number: int) -> None:
        made.add(number)
        really(number)

    monkeypatch.setattr(sockets, "made", note)
    for _ in range(5):
        receiver.answers(Status(200, close=True))
        assert (await sender.send(request_to(receiver.url))).status_code == 200
        pairs = [socket.socketpair() for _ in range(5)]
        taken |= {each.fileno() for pair in pairs for each in pair}
        for ours, theirs in pairs:
            reader, writer = await asyncio.open_connection(sock=ours)
            theirs.setblocking(False)
            await loop.sock_sendall(theirs, b"hello\n")
            assert await asyncio.wait_for(reader.readline(), 5) == b"hello\n"
            assert (await sender.send(request_to(receiver.url))).status_code == 200
            writer.close()
            await writer.wait_closed()
            theirs.close()
    assert made & taken


async def test_a_new_socket_with_the_number_of_one_that_was_watched_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system forgets a socket when it is closed, whatever we noted of its number."""
    acted: list[tuple[int, int]] = []
    over = asyncio.Event()

    def act(descriptor: int, events: int) -> None:
        acted.append((descriptor, events))
        over.set()

    driver = multi.Multi(asyncio.get_running_loop(), 10)
    monkeypatch.setattr(driver, "_act", act)
    old, new = socket.socketpair(), socket.socketpair()
    number = old[0].fileno()
    driver._on_socket(pycurl.POLL_IN, number, None, None)
    driver._on_socket(pycurl.POLL_REMOVE, number, None, None)
    os.dup2(new[0].fileno(), number)  # closes what had the number
    driver.made(number)
    driver._on_socket(pycurl.POLL_IN, number, None, None)
    new[1].send(b"hello")
    await asyncio.wait_for(over.wait(), 5)
    assert acted[0] == (number, pycurl.CSELECT_IN)
    driver.close()
    for each in (*old, *new):
        each.close()


async def test_a_socket_that_was_closed_unseen_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, receiver: Receiver, tls: ssl.SSLContext | None, bundle: Path
) -> None:
    """With room for one connection, each closes the one before, which is watched still, and has its number."""
    monkeypatch.setattr("sending.only_libcurl", True)
    egress = Egress(LOOPBACK, allow_http=True, resolve=FakeDns(("127.0.0.1",)))
    async with Receiver(tls=tls, hostname="localhost") as other:
        async with sending(egress, ca_bundle=bundle, max_connections=1) as sender:
            for each in (receiver, other) * 10:
                outcome = await sender.send(request_to(each.url))
                assert (outcome.status_code, outcome.duration < 2_000) == (200, True)
        assert (receiver.connections_made, other.connections_made) == (10, 10)


async def test_whoever_is_told_may_cancel_and_begin(sender: Sender, receiver: Receiver) -> None:
    """Also what ended at the same moment, and what begins with the handle that is just free."""
    told: list[tuple[int, int | None]] = []
    over = asyncio.Event()
    await asyncio.gather(*(sender.send(request_to(receiver.url)) for _ in range(20)))
    under_way: dict[int, Any] = {}

    def hear(number: int, outcome: Outcome) -> None:
        told.append((number, outcome.status_code))
        under_way.pop(number)
        for other in list(under_way.values()):
            other.cancel()
        under_way.clear()
        if number < 100:
            under_way[number + 100] = sender.post(request_to(receiver.url), partial(hear, number + 100))
        else:
            over.set()

    for number in range(20):
        under_way[number] = sender.post(request_to(receiver.url), partial(hear, number))
    await asyncio.wait_for(over.wait(), 5)
    assert [status for _, status in told] == [200, 200]
    assert told[1][0] == told[0][0] + 100
    outcomes = await asyncio.gather(*(sender.send(request_to(receiver.url)) for _ in range(20)))
    assert {outcome.status_code for outcome in outcomes} == {200}


async def test_one_timer_keeps_each_deadline(sender: Sender, receiver: Receiver) -> None:
    """That of a request that has ended does not end the timer of another, and a later one does not delay an earlier."""
    assert (await sender.send(request_to(receiver.url, timeout=150))).status_code == 200
    receiver.answer = Hang()
    late = await asyncio.wait_for(sender.send(request_to(receiver.url, timeout=400)), 10)
    under_way = asyncio.ensure_future(sender.send(request_to(receiver.url, timeout=20_000)))
    await receiver.wait_for(3)
    await a_moment()
    early = await asyncio.wait_for(sender.send(request_to(receiver.url, timeout=300)), 10)
    under_way.cancel()
    await asyncio.wait([under_way])
    assert [late.trouble, early.trouble] == [FailureKind.TIMEOUT, FailureKind.TIMEOUT]
    assert 390 <= late.duration < 5_000
    assert 290 <= early.duration < 5_000


async def test_close_tells_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once; whom another cancels while it is told is not told."""
    monkeypatch.setattr("sending.only_libcurl", True)
    told: list[str] = []
    async with Receiver(Hang()) as receiver:
        async with sending() as sender:

            def hear(number: int, outcome: Outcome) -> None:
                told.append(f"{number}: {outcome.detail}")
                under_way[1].cancel()

            under_way = [sender.post(request_to(receiver.url), partial(hear, number)) for number in range(3)]
            await receiver.wait_for(3)
        assert told == ["0: packhook is stopping", "2: packhook is stopping"]
        await receiver.wait_until_quiet()


async def test_when_libcurl_breaks_each_is_told(sender: Sender, receiver: Receiver) -> None:
    """It never happened; if it does, no request waits for ever."""
    assert (await sender.send(request_to(receiver.url))).status_code == 200
    receiver.answers(Hang(), Hang())
    told: list[FailureKind | None] = []
    for _ in range(2):
        sender.post(request_to(receiver.url), lambda outcome: told.append(outcome.trouble))
    await receiver.wait_for(3)
    driver = sender._curl.multi

    def broken(_descriptor: int, _events: int) -> None:
        raise pycurl.error(3, "out of memory")

    real = driver._multi
    driver._multi = SimpleNamespace(socket_action=broken, remove_handle=real.remove_handle)
    driver._act(pycurl.SOCKET_TIMEOUT, 0)
    driver._multi = real
    assert told == [FailureKind.INTERNAL] * 2
    assert (await sender.send(request_to(receiver.url))).status_code == 200
