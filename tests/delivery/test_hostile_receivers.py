"""Test hostile receivers: each attempt has one outcome, within the deadline, whose detail names the cause."""

import time
from collections.abc import AsyncIterator
from typing import Final

import pytest

from packhook.core.model import FailureKind, Outcome
from packhook.delivery.http.client import HttpClient
from packhook.testing import (
    AnswerEarly,
    Behaviour,
    Cut,
    Drip,
    EndlessBody,
    EndlessInformational,
    Garbage,
    GzipBomb,
    Hang,
    HangUp,
    HugeHeaders,
    NulByte,
    Redirect,
    Reset,
    Status,
)
from support.http_client import receiving, request_to, sending
from support.values import replaced

pytestmark = [pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"]), pytest.mark.usefixtures("scheme")]

TIMEOUT: Final = 800
LATE: Final = 500
FULL: Final = b"." * 65_536
WAITING: Final = "the time ran out while waiting for the response: respond first, and do the work afterwards"
READING: Final = "the time ran out while reading the response: send a short one, and end it"
HALF: Final = (("content-length", "100"),)
TEXT: Final = (("content-type", "text/plain"),)
BOMB: Final = GzipBomb()

ANSWERS: Final = {
    "200": (Status(200, body=b"ok"), Outcome(status_code=200, headers=(("content-length", "2"),), body=b"ok")),
    "500": (Status(500), Outcome(status_code=500, headers=(("content-length", "0"),))),
    "204 without a body": (Cut(b"HTTP/1.1 204 No Content\r\n\r\n"), Outcome(status_code=204)),
    "an unknown status": (Cut(b"HTTP/1.1 799 What\r\n\r\n"), Outcome(status_code=799)),
    "redirect": (
        Redirect("http://127.0.0.1:9/"),
        Outcome(status_code=302, headers=(("location", "http://127.0.0.1:9/"), ("content-length", "0"))),
    ),
    "NUL and half a character in the body": (
        NulByte("body"),
        Outcome(status_code=200, headers=(("content-length", "4"),), body=b"a\x00b\xc3"),
    ),
    "bytes beyond ASCII in a header": (
        Cut(b"HTTP/1.1 200 OK\r\nX-Name:  caf\xe9\x85 \r\ncontent-length: 0\r\n\r\n"),
        Outcome(status_code=200, headers=(("x-name", "caf\xe9"), ("content-length", "0"))),
    ),
    "gzip bomb": (
        BOMB,
        Outcome(
            status_code=200,
            headers=(*BOMB.headers.items(), ("content-length", str(len(BOMB.body)))),
            body=BOMB.body,
        ),
    ),
    "informational answers before the final one": (
        Cut(b"HTTP/1.1 103 Early Hints\r\nx-early: 1\r\n\r\n" * 3 + Status(200, {"x-final": "1"}).rendered),
        Outcome(status_code=200, headers=(("x-final", "1"), ("content-length", "0"))),
    ),
    "trailers after a chunked body": (
        Cut(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-trailer: 1\r\n\r\n"),
        Outcome(status_code=200, headers=(("transfer-encoding", "chunked"),), body=b"ok"),
    ),
    "answered before the request was read": (
        AnswerEarly(Status(200, body=b"early", close=True)),
        Outcome(status_code=200, headers=(("content-length", "5"), ("connection", "close")), body=b"early"),
    ),
    "a body of just the limit": (
        Status(200, body=FULL),
        Outcome(status_code=200, headers=(("content-length", "65536"),), body=FULL),
    ),
    "a body one byte over the limit": (
        Status(200, body=FULL + b"!"),
        Outcome(status_code=200, headers=(("content-length", "65537"),), body=FULL, truncated=True),
    ),
    "endless body": (EndlessBody(200), Outcome(status_code=200, headers=TEXT, body=FULL, truncated=True)),
    "endless body of an error": (EndlessBody(503), Outcome(status_code=503, headers=TEXT, body=FULL, truncated=True)),
    "more headers than are kept": (
        Status(200, {f"x-{number}": "v" for number in range(150)}),
        Outcome(status_code=200, headers=tuple((f"x-{number}", "v") for number in range(100))),
    ),
}
FAILURES: Final = {
    "hang": (Hang(), Outcome(failure=FailureKind.TIMEOUT, detail=WAITING)),
    "dripping head": (Drip("head", interval=50), Outcome(failure=FailureKind.TIMEOUT, detail=READING)),
    "dripping body": (
        Drip("body"),
        Outcome(
            status_code=200,
            headers=(*TEXT, ("content-length", "10000")),
            failure=FailureKind.TIMEOUT,
            detail=READING,
        ),
    ),
    "informational answers without end": (
        EndlessInformational(),
        Outcome(failure=FailureKind.PROTOCOL, detail="the response's headers are too large"),
    ),
    "informational answers, slowly": (
        EndlessInformational(interval=20),
        Outcome(failure=FailureKind.TIMEOUT, detail=READING),
    ),
    "huge headers": (
        HugeHeaders(),
        Outcome(failure=FailureKind.PROTOCOL, detail="the response's headers are too large"),
    ),
    "reset in the answer": (
        Reset(),
        Outcome(
            status_code=200,
            headers=HALF,
            body=b"half of it",
            failure=FailureKind.RESET,
            detail="the connection was reset before the whole response had come",
        ),
    ),
    "reset instead of an answer": (
        Reset(after=b""),
        Outcome(failure=FailureKind.RESET, detail="the connection was reset before the whole response had come"),
    ),
    "closed in the answer": (
        Cut(),
        Outcome(
            status_code=200,
            headers=HALF,
            body=b"half of it",
            failure=FailureKind.RESET,
            detail="the connection was closed before the whole response had come",
        ),
    ),
    "closed without an answer": (
        HangUp(),
        Outcome(failure=FailureKind.RESET, detail="the connection was closed without a response"),
    ),
    "closed before the request was read": (
        HangUp(early=True),
        Outcome(failure=FailureKind.RESET, detail="the connection was closed without a response"),
    ),
    "NUL in a header": (
        NulByte("head"),
        Outcome(failure=FailureKind.PROTOCOL, detail="the response is not valid HTTP"),
    ),
    "another protocol": (Garbage(), Outcome(failure=FailureKind.PROTOCOL, detail="the response is not HTTP/1.1")),
    "an HTTP/0.9 page": (
        Garbage(b"<html>hello</html>"),
        Outcome(failure=FailureKind.PROTOCOL, detail="the response is not HTTP/1.1"),
    ),
    "an HTTP/2 preface": (
        Garbage(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"),
        Outcome(failure=FailureKind.PROTOCOL, detail="the response is not HTTP/1.1"),
    ),
    "a chunk without a size": (
        Cut(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nok\r\n"),
        Outcome(
            status_code=200,
            headers=(("transfer-encoding", "chunked"),),
            failure=FailureKind.PROTOCOL,
            detail="the response is not valid HTTP",
        ),
    ),
    "a negative content-length": (
        Cut(b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n"),
        Outcome(failure=FailureKind.PROTOCOL, detail="the response is not valid HTTP"),
    ),
}


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    """Open a client that may connect to loopback."""
    async with sending() as opened:
        yield opened


@pytest.mark.parametrize(("behaviour", "expected"), ANSWERS.values(), ids=ANSWERS)
async def test_a_response_is_an_outcome_without_failure(
    client: HttpClient, behaviour: Behaviour, expected: Outcome
) -> None:
    """The outcome has the final response: raw, capped, and without informational ones."""
    async with receiving(behaviour) as receiver:
        outcome = await client.send(request_to(receiver.url))
    assert _timeless(outcome) == expected


@pytest.mark.parametrize(("behaviour", "expected"), FAILURES.values(), ids=FAILURES)
async def test_a_failure_is_an_outcome_within_the_deadline(
    client: HttpClient, behaviour: Behaviour, expected: Outcome
) -> None:
    """No receiver delays an attempt beyond its timeout, and each kind of failure has its own detail.

    A failure other than a timeout may take a moment on a busy machine.
    """
    limit = TIMEOUT if expected.failure is FailureKind.TIMEOUT else 3_000
    started = time.monotonic()
    async with receiving(behaviour) as receiver:
        outcome = await client.send(request_to(receiver.url, timeout=limit))
        assert (time.monotonic() - started) * 1_000 < limit + LATE
    assert _timeless(outcome) == expected


@pytest.mark.parametrize(
    "behaviour", [EndlessBody(), Reset(), Drip(), HangUp()], ids=lambda value: type(value).__name__
)
async def test_the_next_request_after_a_failure_is_unharmed(client: HttpClient, behaviour: Behaviour) -> None:
    """A failure leaves no trace in the pool of connections."""
    async with receiving() as receiver:
        receiver.answers(behaviour)
        await client.send(request_to(receiver.url, timeout=TIMEOUT if isinstance(behaviour, Drip) else 5_000))
        outcome = await client.send(request_to(receiver.url))
    assert _timeless(outcome) == Outcome(status_code=200, headers=(("content-length", "0"),))


def _timeless(outcome: Outcome) -> Outcome:
    """Return the outcome without its duration, and without a dripped body, whose length is random."""
    dripped = outcome.failure is FailureKind.TIMEOUT
    return replaced(outcome, duration=0, body=b"" if dripped else outcome.body)
