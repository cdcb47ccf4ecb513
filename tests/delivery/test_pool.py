"""Test connections on the event loop: deadlines, callbacks, idle connections, and reused descriptors."""

import asyncio
import errno
import resource
import selectors
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from typing import Any, Final, cast

import pytest
from msgspec import structs

from packhook.core.model import FailureKind, Outcome
from packhook.delivery.http import pool
from packhook.delivery.http.client import HttpClient
from packhook.delivery.http.stream import STREAMS_PER_TURN, Poller, TcpStream
from packhook.testing import Hang, Receiver, Status
from packhook.testing.wire import Wire
from support.http_client import receiving, request_to, sending

pytestmark = [pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"]), pytest.mark.usefixtures("scheme")]

PATIENCE: Final = 20_000


class Later:
    """Answer 200; once ``when`` is set, send ``more``, or close the connection if it is empty."""

    early = False

    def __init__(self, more: bytes) -> None:
        self._more = more
        self.when = asyncio.Event()
        self.done = asyncio.Event()

    async def write(self, wire: Wire) -> None:
        """Answer; later send unsolicited bytes, or close."""
        await wire.write(Status(200).rendered)
        await self.when.wait()
        if self._more:
            await wire.write(self._more)
        else:
            wire.close()
        self.done.set()
        await wire.gone()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Open a receiver that answers 200."""
    async with receiving() as listening:
        yield listening


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    """Open a client that may connect to loopback."""
    async with sending() as opened:
        yield opened


class _Counted:
    """Note that it was served, in place of a stream."""

    def __init__(self, number: int, opened: socket.socket, served: list[int]) -> None:
        self.socket = opened
        self._number = number
        self._served = served

    def on_ready(self, _events: int) -> None:
        """Note it."""
        self._served.append(self._number)


@pytest.fixture
def dispatched(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count how often the event loop calls the poller."""
    calls: list[int] = []
    really = Poller._dispatch

    def count(self: Poller) -> None:
        calls.append(1)
        really(self)

    monkeypatch.setattr(Poller, "_dispatch", count)
    return calls


async def a_moment() -> None:
    """Run the event loop for 200 ms."""
    over = asyncio.Event()
    asyncio.get_running_loop().call_later(0.2, over.set)
    await over.wait()


async def test_a_few_streams_are_served_in_each_turn_of_the_event_loop() -> None:
    """The others keep their place, and come in the next turns."""
    poller = Poller(asyncio.get_running_loop())
    served: list[int] = []
    pairs = [socket.socketpair() for _ in range(2 * STREAMS_PER_TURN + 1)]
    for number, (near, far) in enumerate(pairs):
        far.send(b"x")
        poller.watch(cast("TcpStream", _Counted(number, near, served)), selectors.EVENT_READ)
    for expected in (STREAMS_PER_TURN, 2 * STREAMS_PER_TURN, len(pairs)):
        poller._dispatch()
        assert len(served) == expected
    assert sorted(served) == list(range(len(pairs)))
    poller.close()
    for one in (one for pair in pairs for one in pair):
        one.close()


@pytest.mark.parametrize("more", [b"", b"unasked"], ids=["closes", "sends"])
async def test_a_close_or_bytes_on_an_idle_connection_are_noticed(
    dispatched: list[int], client: HttpClient, receiver: Receiver, more: bytes
) -> None:
    """The event loop does not spin until the next request, and that one uses a new connection."""
    later = Later(more)
    receiver.answers(later)
    assert (await client.send(request_to(receiver.url, timeout=PATIENCE))).status_code == 200
    later.when.set()
    await later.done.wait()
    await receiver.wait_until_quiet()
    await a_moment()
    dispatched.clear()
    await a_moment()
    assert dispatched == []
    for _ in range(2):
        assert (await client.send(request_to(receiver.url, timeout=PATIENCE))).status_code == 200
    assert receiver.connections_made == 2


async def test_the_loop_does_not_spin_while_a_request_waits(
    dispatched: list[int], client: HttpClient, receiver: Receiver
) -> None:
    """A writable socket is not polled for writing when there is nothing to write."""
    receiver.answers(Hang())
    in_flight = asyncio.ensure_future(client.send(request_to(receiver.url, timeout=PATIENCE)))
    await receiver.wait_for(1)
    await a_moment()
    dispatched.clear()
    await a_moment()
    assert dispatched == []
    in_flight.cancel()
    await asyncio.wait([in_flight])


async def test_a_reused_descriptor_disturbs_no_other_connection(client: HttpClient, receiver: Receiver) -> None:
    """Another connection of this process gets the number of a closed socket, and both work."""
    loop = asyncio.get_running_loop()
    for _ in range(5):
        receiver.answers(Status(200, close=True))
        assert (await client.send(request_to(receiver.url, timeout=PATIENCE))).status_code == 200
        for local, remote in [socket.socketpair() for _ in range(5)]:
            reader, writer = await asyncio.open_connection(sock=local)
            remote.setblocking(False)
            await loop.sock_sendall(remote, b"hello\n")
            assert await asyncio.wait_for(reader.readline(), 5) == b"hello\n"
            assert (await client.send(request_to(receiver.url, timeout=PATIENCE))).status_code == 200
            writer.close()
            await writer.wait_closed()
            remote.close()


async def test_two_receivers_share_a_limit_of_one_connection(receiver: Receiver) -> None:
    """Each new connection closes the idle one before."""
    async with receiving() as other:
        async with sending(max_connections=1) as client:
            for target in (receiver, other) * 10:
                assert (await client.send(request_to(target.url, timeout=PATIENCE))).status_code == 200
        assert (receiver.connections_made, other.connections_made) == (10, 10)


async def test_idle_connections_of_one_organization_leave_room(receiver: Receiver) -> None:
    """Close the oldest of an organization that has half, and of the one with the most where a new one needs room."""

    async def send(client: HttpClient, target: Receiver, organization_id: str) -> None:
        request = structs.replace(request_to(target.url, timeout=PATIENCE), organization_id=organization_id)
        assert (await client.send(request)).status_code == 200

    async with AsyncExitStack() as stack:
        many = [await stack.enter_async_context(receiving()) for _ in range(7)]
        client = await stack.enter_async_context(sending(max_connections=8))
        for target in many:
            await send(client, target, "greedy")
        await send(client, receiver, "modest")
        for target in (*many, *reversed(many)):
            await send(client, target, "greedy")
        await send(client, receiver, "modest")
        kept = [target.connections_made for target in many]
    assert receiver.connections_made == 1
    assert sum(kept) == 7 + 7 + 3  # four of seven stay, so three of them are found again on the way back


async def test_a_callback_may_cancel_and_post(client: HttpClient, receiver: Receiver) -> None:
    """It may cancel requests that end at the same moment, and post over the connection that has just become free."""
    seen: list[tuple[int, int | None]] = []
    over = asyncio.Event()
    await asyncio.gather(*(client.send(request_to(receiver.url, timeout=PATIENCE)) for _ in range(20)))
    in_flight: dict[int, Any] = {}

    def on_outcome(number: int, outcome: Outcome) -> None:
        seen.append((number, outcome.status_code))
        in_flight.pop(number)
        for other in list(in_flight.values()):
            other.cancel()
        in_flight.clear()
        if number < 100:
            in_flight[number + 100] = client.post(request_to(receiver.url), partial(on_outcome, number + 100))
        else:
            over.set()

    for number in range(20):
        in_flight[number] = client.post(request_to(receiver.url, timeout=PATIENCE), partial(on_outcome, number))
    await asyncio.wait_for(over.wait(), 5)
    assert [status for _, status in seen] == [200, 200]
    assert seen[1][0] == seen[0][0] + 100
    outcomes = await asyncio.gather(*(client.send(request_to(receiver.url, timeout=PATIENCE)) for _ in range(20)))
    assert {outcome.status_code for outcome in outcomes} == {200}


async def test_each_request_has_its_own_deadline(client: HttpClient, receiver: Receiver) -> None:
    """The deadline of a finished request ends no other, and a later deadline does not delay an earlier one."""
    assert (await client.send(request_to(receiver.url))).status_code == 200
    receiver.answer = Hang()
    late = await asyncio.wait_for(client.send(request_to(receiver.url, timeout=400)), 10)
    in_flight = asyncio.ensure_future(client.send(request_to(receiver.url, timeout=PATIENCE)))
    await receiver.wait_for(3)
    early = await asyncio.wait_for(client.send(request_to(receiver.url, timeout=300)), 10)
    in_flight.cancel()
    await asyncio.wait([in_flight])
    assert [late.failure, early.failure] == [FailureKind.TIMEOUT, FailureKind.TIMEOUT]
    assert 390 <= late.duration < 5_000
    assert 290 <= early.duration < 5_000


async def test_close_calls_each_callback_once() -> None:
    """A request that another callback cancels meanwhile gets none."""
    seen: list[str] = []
    async with receiving(Hang()) as receiver:
        async with sending() as client:

            def on_outcome(number: int, outcome: Outcome) -> None:
                seen.append(f"{number}: {outcome.detail}")
                in_flight[1].cancel()

            in_flight = [
                client.post(request_to(receiver.url, timeout=PATIENCE), partial(on_outcome, number))
                for number in range(3)
            ]
            await receiver.wait_for(3)
        assert seen == ["0: packhook is stopping", "2: packhook is stopping"]
        await receiver.wait_until_quiet()


async def test_a_crash_in_one_exchange_ends_only_that_one(
    client: HttpClient, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its outcome is an internal failure; other connections and the next request are unharmed."""
    assert (await client.send(request_to(receiver.url, timeout=PATIENCE))).status_code == 200

    def crash(_: object, data: bytes) -> bool:
        raise RuntimeError(f"a fault of ours with {len(data)} bytes")

    with monkeypatch.context() as patched:
        patched.setattr("packhook.delivery.http.response_parser.ResponseParser.feed", crash)
        outcome = await client.send(request_to(receiver.url, timeout=PATIENCE))
    assert (outcome.failure, outcome.detail) == (
        FailureKind.INTERNAL,
        "packhook could not send this; its log says why",
    )
    assert (await client.send(request_to(receiver.url, timeout=PATIENCE))).status_code == 200


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Leave this process no descriptor for a socket."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as highest:
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest.fileno(), hard))
        taken = []
        try:
            while True:
                taken.append(socket.socket())
        except OSError:
            pass
        try:
            yield
        finally:
            for descriptor in taken:
                descriptor.close()
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_too_few_descriptors_are_our_own_fault(client: HttpClient, receiver: Receiver) -> None:
    """The failure is internal and says nothing about the endpoint; afterwards requests succeed again."""
    with no_descriptors():
        outcomes = await asyncio.gather(*(client.send(request_to(receiver.url)) for _ in range(5)))
    detail = "packhook has no free socket: raise its limit of open files"
    assert {(outcome.failure, outcome.detail) for outcome in outcomes} == {(FailureKind.SHORTAGE, detail)}
    assert (await client.send(request_to(receiver.url, timeout=PATIENCE))).status_code == 200


async def test_many_requests_that_fail_at_once_do_not_recurse(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two thousand of them wait for one connection, and then no socket can be opened."""
    receiver.answers(Hang())

    def no_socket(*_: object) -> None:
        raise OSError(errno.EMFILE, "too many open files")

    async with sending(max_connections=1) as client:
        first = client.post(request_to(receiver.url, timeout=PATIENCE), lambda _: None)
        await receiver.wait_for(1)
        waiting = [asyncio.ensure_future(client.send(request_to(receiver.url, timeout=PATIENCE))) for _ in range(2_000)]
        await a_moment()
        with monkeypatch.context() as patched:
            patched.setattr(socket, "socket", no_socket)
            first.cancel()
            outcomes = await asyncio.gather(*waiting)
    assert {outcome.failure for outcome in outcomes} == {FailureKind.SHORTAGE}


async def test_connections_have_a_maximum_age(
    client: HttpClient, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that was idle for too long, or is too old, is not reused."""
    assert (await client.send(request_to(receiver.url, timeout=PATIENCE))).status_code == 200
    for limit in ("IDLE_SECONDS", "LIFETIME_SECONDS"):
        with monkeypatch.context() as patched:
            patched.setattr(pool, limit, 0)
            before = receiver.connections_made
            assert (await client.send(request_to(receiver.url, timeout=PATIENCE))).status_code == 200
            assert receiver.connections_made == before + 1
        assert (await client.send(request_to(receiver.url, timeout=PATIENCE))).status_code == 200
