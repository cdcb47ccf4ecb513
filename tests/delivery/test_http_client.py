"""Test requests under failures: each gets one callback, in time, and its connection slot is free again."""

import asyncio
import gc
import random
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from packhook.core.model import FailureKind, Outcome
from packhook.delivery.attempt import lines
from packhook.delivery.http.client import HttpClient, InFlight
from packhook.delivery.http.connection import Exchange, HttpConnection
from packhook.delivery.http.response_parser import ResponseParser
from packhook.testing import Behaviour, Cut, Drip, Garbage, Hang, HangUp, Reset, Status
from packhook.testing.wire import Wire
from support.http_client import receiving, request_to, sending
from support.values import replaced

BOTH_LOOPS: Final = pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])
CHUNKED: Final = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
WHOLE: Final = {
    "length": (Status(200, {"x-a": "b"}, b"body").rendered, 200, b"body", True),
    "chunks": (CHUNKED + b"3;name=value\r\nabc\r\n2\r\nde\r\n0\r\nx-trailer: t\r\n\r\n", 200, b"abcde", True),
    "informational": (b"HTTP/1.1 100 Continue\r\n\r\n" * 2 + Status(503, body=b"later").rendered, 503, b"later", True),
    "no body": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
    "last": (Status(200, body=b"x", close=True).rendered, 200, b"x", False),
    "1.0": (b"HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\nx", 200, b"x", False),
    "LF": (b"HTTP/1.1 200 OK\ncontent-length: 1\n\nx", 200, b"x", True),
    "more": (Status(200, body=b"x").rendered + b"HTTP/1.1 200 OK\r\n", 200, b"x", None),
}


class Pieces:
    """Answer in separate pieces; then stop, or repeat the last piece without end."""

    early = False

    def __init__(self, *pieces: bytes, endless: bool = False) -> None:
        self._pieces = pieces
        self._endless = endless

    async def write(self, wire: Wire) -> None:
        """Write the pieces, with a pause after each."""
        for piece in self._pieces:
            await wire.write(piece)
            await wire.pause(5)
        while self._endless:
            await wire.write(self._pieces[-1])
        await wire.gone()


@contextmanager
def unreachable() -> Iterator[str]:
    """Yield a URL whose port accepts no connection, because its queue is full."""
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        yield f"http://127.0.0.1:{full.getsockname()[1]}/"


@pytest.mark.parametrize(("sent", "status", "body", "keeps"), WHOLE.values(), ids=WHOLE)
def test_a_response_is_the_same_however_it_is_split(sent: bytes, status: int, body: bytes, keeps: bool | None) -> None:
    """In two parts at every byte, and byte by byte; bytes after its end are no part of it."""
    cuts = [[sent[:at], sent[at:]] for at in range(1, len(sent))]
    cuts.append([sent[at : at + 1] for at in range(len(sent))])
    for pieces in cuts:
        answer = ResponseParser()
        rest = iter(pieces)
        while not answer.feed(next(rest)):
            pass
        assert (answer.status, b"".join(answer.body), answer.failure) == (status, body, None)
        assert keeps is None or answer.is_reusable is keeps


@BOTH_LOOPS
@pytest.mark.usefixtures("scheme")
async def test_a_large_head_within_the_limit_is_accepted() -> None:
    """45 KiB are accepted in one piece or in several; 80 KiB are not."""
    lines = b"x-filler: " + b"." * 988 + b"\r\n"
    begin, end = b"HTTP/1.1 200 OK\r\n", b"content-length: 0\r\n\r\n"
    async with receiving() as receiver, sending() as client:
        for count, failure in ((45, None), (80, FailureKind.PROTOCOL)):
            receiver.answers(Pieces(begin + lines * count + end), Pieces(begin, *[lines * (count // 5)] * 5, end))
            for _ in range(2):
                outcome = await client.send(request_to(receiver.url))
                assert (outcome.failure, outcome.status_code) == (failure, None if failure else 200)


@BOTH_LOOPS
@pytest.mark.usefixtures("scheme")
@pytest.mark.parametrize("trailer", [b"." * 60_000, b"x-t: " + b"." * 60_000 + b"\r\n"], ids=["one", "many"])
async def test_an_endless_trailer_is_refused(trailer: bytes) -> None:
    """It does not fill the memory until the timeout."""
    async with receiving() as receiver, sending() as client:
        receiver.answers(Pieces(CHUNKED + b"2\r\nok\r\n0\r\nx-first: ", trailer, endless=True))
        outcome = await client.send(request_to(receiver.url, timeout=10_000))
    assert (outcome.status_code, outcome.failure, outcome.duration < 5_000) == (200, FailureKind.PROTOCOL, True)


@BOTH_LOOPS
@pytest.mark.usefixtures("scheme")
async def test_a_request_cancelled_at_once_frees_its_slot() -> None:
    """Also before its first step; the next request has the slot."""
    async with receiving() as receiver, sending(max_connections=2) as client:
        reported: list[Outcome] = []
        for _ in range(10):
            client.post(request_to(receiver.url), reported.append).cancel()
        assert (await client.send(request_to(receiver.url))).status_code == 200
    assert reported == []


@BOTH_LOOPS
@pytest.mark.usefixtures("scheme")
@pytest.mark.parametrize("cancelled", [True, False], ids=["cancelled", "timed out"])
async def test_a_waiting_request_is_sent_when_another_could_not_connect(cancelled: bool) -> None:
    """The slot is free as soon as the failed request ends."""
    async with receiving() as receiver, sending(max_connections=1) as client:
        with unreachable() as url:
            reported: list[Outcome] = []
            first = client.post(request_to(url, timeout=5_000 if cancelled else 150), reported.append)
            second = asyncio.ensure_future(client.send(request_to(receiver.url, timeout=2_000)))
            asyncio.get_running_loop().call_later(0.1, lambda: first.cancel() if cancelled else None)
            assert (await second).status_code == 200
    assert [outcome.failure for outcome in reported] == ([] if cancelled else [FailureKind.TIMEOUT])


@BOTH_LOOPS
@pytest.mark.usefixtures("scheme")
async def test_each_callback_is_called_once_and_not_before_post_returns() -> None:
    """Also if a header cannot be sent; and a callback that raises harms no other request."""
    async with receiving() as receiver, sending() as client:
        reported: list[str] = []
        done = asyncio.Event()

        def fail(_: Outcome) -> None:
            reported.append("failed")
            raise ValueError("a fault in the callback")

        def end(_: Outcome) -> None:
            reported.append("ended")
            done.set()

        bad = replaced(request_to(receiver.url), headers=lines((("x-broken", "a\r\nb: c"),)))
        client.post(request_to(receiver.url), fail)
        client.post(bad, lambda _: reported.append("refused"))
        reported.append("posted")
        await receiver.wait_for(1)
        client.post(request_to(receiver.url), end)
        await asyncio.wait_for(done.wait(), 5)
        assert (await client.send(request_to(receiver.url))).status_code == 200
    assert reported[0] == "posted"
    assert sorted(reported[1:]) == ["ended", "failed", "refused"]


def open_files() -> int:
    """Return the number of open files of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))


@BOTH_LOOPS
@pytest.mark.usefixtures("scheme")
@pytest.mark.parametrize("limit", [3, 200])
async def test_no_kind_of_failure_leaks_a_socket_or_a_slot(limit: int) -> None:
    """Each of 1,500 requests gets one callback, in time, unless it was cancelled; no socket and no slot is lost."""
    rng = random.Random(limit)
    kinds: list[Behaviour] = [
        *(Status(200), Status(500, body=b"." * 70_000), Status(200, close=True), Cut(), Reset(), Reset(after=b"")),
        *(HangUp(), HangUp(early=True), Garbage(), Hang(), Drip("head", interval=10), Pieces(Status(200).rendered * 2)),
    ]
    before = open_files()
    reported: Counter[int] = Counter()
    late: list[int] = []
    async with receiving() as receiver, sending(max_connections=limit) as client:
        receiver.answer = lambda _: rng.choice(kinds)
        with unreachable() as bad_url:
            expected = await send_and_cancel(client, [receiver.url] * 9 + [bad_url], rng, reported, late)
        receiver.answer = lambda _: Status(200)
        outcomes = await asyncio.gather(
            *(client.send(request_to(receiver.url, timeout=20_000)) for _ in range(limit * 2))
        )
        assert {(outcome.status_code, outcome.detail) for outcome in outcomes} == {(200, "")}
    assert reported == Counter(expected)
    assert late == []
    await asyncio.get_running_loop().run_in_executor(None, open_files)
    assert open_files() <= before + 5


async def send_and_cancel(
    client: HttpClient, urls: list[str], rng: random.Random, reported: Counter[int], late: list[int]
) -> set[int]:
    """Send 1,500 requests, 100 at a time, and cancel some at any moment; return the numbers that get a callback."""
    loop = asyncio.get_running_loop()
    expected: set[int] = set()
    slots = asyncio.Semaphore(100)
    over = asyncio.Event()

    def on_outcome(number: int, timeout: int, outcome: Outcome) -> None:
        reported[number] += 1
        if outcome.duration > timeout + 5_000:  # a stall of the machine is no failure; the deadline has its own tests
            late.append(number)
        slots.release()
        over.set()

    for number in range(1_500):
        await slots.acquire()
        timeout = rng.choice([20, 60, 150])
        request = request_to(rng.choice(urls), timeout=timeout, body=bytes(rng.choice([10, 10, 400_000])))
        expected.add(number)
        in_flight = client.post(request, partial(on_outcome, number, timeout))

        def cancel(number: int = number, in_flight: InFlight = in_flight) -> None:
            if not reported[number]:
                in_flight.cancel()
                expected.discard(number)
                slots.release()
                over.set()

        if rng.random() < 0.2:
            loop.call_later(rng.choice([0, 0.001, 0.03]), cancel)
    async with asyncio.timeout(20):
        while sum(reported.values()) < len(expected):
            over.clear()
            await over.wait()
    return expected


@BOTH_LOOPS
@pytest.mark.parametrize(
    "answer",
    [
        Status(200, body=b"x" * 60_000, close=True),
        Status(200, body=b"x" * 70_000),
        Status(200),
        HangUp(),
        Reset(),
        Cut(),
    ],
    ids=["closed by it", "truncated", "kept", "no answer", "reset", "half an answer"],
)
async def test_a_closed_connection_is_freed_at_once(answer: Behaviour) -> None:
    """Also its response: the garbage collector runs seldom, and would find thousands of them."""
    gc.collect()
    gc.disable()
    try:
        async with receiving(answer) as receiver, sending() as client:
            for _ in range(3):
                await client.send(request_to(receiver.url))
        kinds = (HttpConnection, ResponseParser, Exchange)
        assert [item for item in gc.get_objects() if type(item) in kinds] == []
    finally:
        gc.enable()
