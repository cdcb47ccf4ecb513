"""Whatever becomes of one request, its callback is called once, in time, and its connection slot is free again."""

import asyncio
import gc
import random
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from packhook.core.model import FailureKind, Outcome
from packhook.delivery.headers import lines
from packhook.delivery.http.client import HttpClient
from packhook.delivery.http.connection import Connection
from packhook.delivery.http.exchange import Exchange
from packhook.delivery.http.response_parser import ResponseParser
from packhook.testing import Behaviour, Cut, Drip, Garbage, Hang, HangUp, Reset, Status
from packhook.testing.wire import Wire
from sending import receiving, request_to, sending
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
    """Answer in pieces that arrive apart; then nothing more, or the last piece again and again."""

    early = False

    def __init__(self, *pieces: bytes, endless: bool = False) -> None:
        self._pieces = pieces
        self._endless = endless

    async def write(self, wire: Wire) -> None:
        """Write them, a moment apart."""
        for piece in self._pieces:
            await wire.write(piece)
            await wire.pause(5)
        while self._endless:
            await wire.write(self._pieces[-1])
        await wire.gone()


@contextmanager
def unreachable() -> Iterator[str]:
    """Yield a URL whose port takes no connection: its backlog is full."""
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        yield f"http://127.0.0.1:{full.getsockname()[1]}/"


@pytest.mark.parametrize(("sent", "status", "body", "keeps"), WHOLE.values(), ids=WHOLE)
def test_an_answer_is_the_same_however_it_is_cut(sent: bytes, status: int, body: bytes, keeps: bool | None) -> None:
    """In two parts at every byte, and byte by byte; what stands behind its end is no part of it."""
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
async def test_a_large_head_within_the_limit_is_taken_however_it_comes() -> None:
    """45 KiB in one piece or in four; 80 KiB in neither."""
    lines = b"x-filler: " + b"." * 988 + b"\r\n"
    begin, end = b"HTTP/1.1 200 OK\r\n", b"content-length: 0\r\n\r\n"
    async with receiving() as receiver, sending() as client:
        for count, trouble in ((45, None), (80, FailureKind.PROTOCOL)):
            receiver.answers(Pieces(begin + lines * count + end), Pieces(begin, *[lines * (count // 5)] * 5, end))
            for _ in range(2):
                outcome = await client.send(request_to(receiver.url))
                assert (outcome.failure, outcome.status_code) == (trouble, None if trouble else 200)


@BOTH_LOOPS
@pytest.mark.usefixtures("scheme")
@pytest.mark.parametrize("trailer", [b"." * 60_000, b"x-t: " + b"." * 60_000 + b"\r\n"], ids=["one", "many"])
async def test_an_endless_trailer_is_cut(trailer: bytes) -> None:
    """It does not fill the memory until the time is over."""
    async with receiving() as receiver, sending() as client:
        receiver.answers(Pieces(CHUNKED + b"2\r\nok\r\n0\r\nx-first: ", trailer, endless=True))
        outcome = await client.send(request_to(receiver.url, timeout=10_000))
    assert (outcome.status_code, outcome.failure, outcome.duration < 5_000) == (200, FailureKind.PROTOCOL, True)


@BOTH_LOOPS
@pytest.mark.usefixtures("scheme")
async def test_cancelled_at_once_leaves_its_place() -> None:
    """Before a step of it was made; the next has the place."""
    async with receiving() as receiver, sending(max_connections=2) as client:
        called: list[Outcome] = []
        for _ in range(10):
            client.post(request_to(receiver.url), called.append).cancel()
        assert (await client.send(request_to(receiver.url))).status_code == 200
    assert called == []


@BOTH_LOOPS
@pytest.mark.usefixtures("scheme")
@pytest.mark.parametrize("cancelled", [True, False], ids=["cancelled", "timed out"])
async def test_who_waits_in_line_goes_when_one_could_not_connect(cancelled: bool) -> None:
    """Its place is free as soon as it is given up."""
    async with receiving() as receiver, sending(max_connections=1) as client:
        with unreachable() as url:
            called: list[Outcome] = []
            first = client.post(request_to(url, timeout=5_000 if cancelled else 150), called.append)
            second = asyncio.ensure_future(client.send(request_to(receiver.url, timeout=2_000)))
            asyncio.get_running_loop().call_later(0.1, lambda: first.cancel() if cancelled else None)
            assert (await second).status_code == 200
    assert [outcome.failure for outcome in called] == ([] if cancelled else [FailureKind.TIMEOUT])


@BOTH_LOOPS
@pytest.mark.usefixtures("scheme")
async def test_told_once_and_never_before_it_is_sent() -> None:
    """Also where a header cannot be sent; and whoever fails to listen harms no other."""
    async with receiving() as receiver, sending() as client:
        called: list[str] = []
        done = asyncio.Event()

        def fail(_: Outcome) -> None:
            called.append("failed")
            raise ValueError("whoever listens has a fault")

        def end(_: Outcome) -> None:
            called.append("ended")
            done.set()

        bad = replaced(request_to(receiver.url), headers=lines((("x-broken", "a\r\nb: c"),)))
        client.post(request_to(receiver.url), fail)
        client.post(bad, lambda _: called.append("refused"))
        called.append("posted")
        await receiver.wait_for(1)
        client.post(request_to(receiver.url), end)
        await asyncio.wait_for(done.wait(), 5)
        assert (await client.send(request_to(receiver.url))).status_code == 200
    assert called[0] == "posted"
    assert sorted(called[1:]) == ["ended", "failed", "refused"]


def open_files() -> int:
    """Return how many descriptors this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


@BOTH_LOOPS
@pytest.mark.usefixtures("scheme")
@pytest.mark.parametrize("most", [3, 200])
async def test_after_every_kind_of_trouble_everything_is_as_before(most: int) -> None:
    """Each of 1,500 requests is called once, in time, unless it was cancelled; no socket and no place is lost."""
    drawn = random.Random(most)
    kinds: list[Behaviour] = [
        *(Status(200), Status(500, body=b"." * 70_000), Status(200, close=True), Cut(), Reset(), Reset(after=b"")),
        *(HangUp(), HangUp(early=True), Garbage(), Hang(), Drip("head", interval=10), Pieces(Status(200).rendered * 2)),
    ]
    before = open_files()
    called: Counter[int] = Counter()
    late: list[int] = []
    async with receiving() as receiver, sending(max_connections=most) as client:
        receiver.answer = lambda _: drawn.choice(kinds)
        with unreachable() as nowhere:
            owed = await storm(client, [receiver.url] * 9 + [nowhere], drawn, called, late)
        receiver.answer = lambda _: Status(200)
        outcomes = await asyncio.gather(
            *(client.send(request_to(receiver.url, timeout=20_000)) for _ in range(most * 2))
        )
        assert {(outcome.status_code, outcome.detail) for outcome in outcomes} == {(200, "")}
    assert called == Counter(owed)
    assert late == []
    await asyncio.get_running_loop().run_in_executor(None, open_files)
    assert open_files() <= before + 5


async def storm(
    client: HttpClient, urls: list[str], drawn: random.Random, called: Counter[int], late: list[int]
) -> set[int]:
    """Send 1,500 requests, 100 at a time, cancel some at any moment; return the numbers of those that must end."""
    loop = asyncio.get_running_loop()
    owed: set[int] = set()
    places = asyncio.Semaphore(100)
    over = asyncio.Event()

    def hear(number: int, timeout: int, outcome: Outcome) -> None:
        called[number] += 1
        if outcome.duration > timeout + 5_000:  # a stall of the machine is not ours; the deadline has tests of its own
            late.append(number)
        places.release()
        over.set()

    for number in range(1_500):
        await places.acquire()
        timeout = drawn.choice([20, 60, 150])
        request = request_to(drawn.choice(urls), timeout=timeout, body=bytes(drawn.choice([10, 10, 400_000])))
        owed.add(number)
        under_way = client.post(request, lambda outcome, number=number, timeout=timeout: hear(number, timeout, outcome))  # type: ignore[misc] # of this round

        def cancel(number: int = number, under_way: object = under_way) -> None:
            if not called[number]:
                under_way.cancel()  # type: ignore[attr-defined] # it is a InFlight
                owed.discard(number)
                places.release()
                over.set()

        if drawn.random() < 0.2:
            loop.call_later(drawn.choice([0, 0.001, 0.03]), cancel)
    async with asyncio.timeout(20):
        while sum(called.values()) < len(owed):
            over.clear()
            await over.wait()
    return owed


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
    ids=["closed by it", "cut off", "kept", "no answer", "reset", "half an answer"],
)
async def test_a_connection_that_is_over_is_forgotten_at_once(answer: Behaviour) -> None:
    """With the answer that it had: the collector comes seldom, and would find thousands of them."""
    gc.collect()
    gc.disable()
    try:
        async with receiving(answer) as receiver, sending() as client:
            for _ in range(3):
                await client.send(request_to(receiver.url))
        kinds = (Connection, ResponseParser, Exchange)
        assert [found for found in gc.get_objects() if isinstance(found, kinds)] == []
    finally:
        gc.enable()
