"""Describe how a receiver answers: correctly, wrongly, late, endlessly, or not at all.

Each behaviour is a value with one coroutine, ``write``, that carries it out on a :class:`Wire`. :class:`Status`,
:class:`Unasked` and :class:`Split` leave the connection open, the others close it. An ``early`` behaviour acts when the
connection is made, before anything is read from it.
"""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from http.client import responses
from typing import Literal, Protocol

from packhook.testing.wire import Wire


class Behaviour(Protocol):
    """Answer one request."""

    @property
    def early(self) -> bool:
        """Return True if it acts before the request is read."""
        ...

    async def write(self, wire: Wire) -> None:
        """Answer; return, or raise ConnectionResetError, when it is over."""
        ...


@dataclass(frozen=True)
class Status:
    """Send a valid response; ``content-length`` is added. ``close`` asks the sender to close the connection then."""

    code: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    close: bool = False
    early: bool = field(default=False, init=False)

    @cached_property
    def rendered(self) -> bytes:
        """Return the bytes of the response."""
        lines = [
            f"HTTP/1.1 {self.code} {responses.get(self.code, 'Status')}",
            *(f"{name}: {value}" for name, value in self.headers.items()),
        ]
        lines += [f"content-length: {len(self.body)}", *(["connection: close"] if self.close else []), "", ""]
        return "\r\n".join(lines).encode("latin-1") + self.body

    async def write(self, wire: Wire) -> None:
        """Send the response."""
        await wire.write(self.rendered)


def Redirect(location: str, code: int = 302) -> Status:  # noqa: N802 it reads as the behaviour it makes
    """Return a redirect."""
    return Status(code, {"location": location})


def GzipBomb(size: int = 16 * 1024 * 1024) -> Status:  # noqa: N802 as above
    """Return a few hundred bytes, gzipped twice, that decompress to ``size`` bytes."""
    bomb = gzip.compress(gzip.compress(bytes(size)))
    return Status(200, {"content-encoding": "gzip, gzip", "content-type": "text/plain"}, bomb)


@dataclass(frozen=True)
class AnswerEarly:
    """Send a valid response before any byte of the request is read."""

    answer: Status = field(default_factory=lambda: Status(close=True))
    early: bool = field(default=True, init=False)

    async def write(self, wire: Wire) -> None:
        """Answer at once, then wait until the sender disconnects."""
        await wire.write(self.answer.rendered)
        await wire.gone()


@dataclass(frozen=True)
class Hang:
    """Send no response. ``early``: read nothing either, so that even a TLS handshake would not complete."""

    early: bool = False

    async def write(self, wire: Wire) -> None:
        """Wait until the sender disconnects."""
        await wire.gone()


@dataclass(frozen=True)
class HangUp:
    """Close the connection without a response. ``early``: before the request is read."""

    early: bool = False

    async def write(self, wire: Wire) -> None:
        """Close."""
        wire.close()


@dataclass(frozen=True)
class Drip:
    """Send the head or body of a 200 one byte every ``interval`` milliseconds."""

    part: Literal["head", "body"] = "body"
    interval: float = 20
    early: bool = field(default=False, init=False)

    async def write(self, wire: Wire) -> None:
        """Send until all is sent or the sender disconnects."""
        answer = Status(200, {"content-type": "text/plain"}, b"." * 10_000).rendered
        split = 0 if self.part == "head" else answer.index(b"\r\n\r\n") + 4
        await wire.write(answer[:split])
        for at in range(split, len(answer)):
            await wire.write(answer[at : at + 1])
            await wire.pause(self.interval)


@dataclass(frozen=True)
class EndlessBody:
    """Send a body that never ends, as fast as the sender reads it."""

    code: int = 200
    early: bool = field(default=False, init=False)

    async def write(self, wire: Wire) -> None:
        """Write until the sender disconnects."""
        await wire.write(b"HTTP/1.1 %d Endless\r\ncontent-type: text/plain\r\n\r\n" % self.code)
        while True:
            await wire.write(b"." * 65_536)


@dataclass(frozen=True)
class EndlessInformational:
    """Send 1xx responses, ``interval`` milliseconds apart, and never a final one."""

    interval: float = 0
    early: bool = field(default=False, init=False)

    async def write(self, wire: Wire) -> None:
        """Write until the sender disconnects."""
        while True:
            await wire.write(b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\n")
            await wire.pause(self.interval)


@dataclass(frozen=True)
class Reset:
    """Send ``after``, then reset the TCP connection."""

    after: bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf of it"
    early: bool = field(default=False, init=False)

    async def write(self, wire: Wire) -> None:
        """Send a part, then reset."""
        await wire.write(self.after)
        wire.reset()


@dataclass(frozen=True)
class Cut:
    """Send less than ``content-length`` says, then close the connection normally."""

    sent: bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf of it"
    early: bool = field(default=False, init=False)

    async def write(self, wire: Wire) -> None:
        """Send a part, then close."""
        await wire.write(self.sent)
        wire.close()


@dataclass(frozen=True)
class NulByte:
    """Send a NUL and an incomplete character in the body, or a NUL in a header."""

    part: Literal["head", "body"] = "body"
    early: bool = field(default=False, init=False)

    async def write(self, wire: Wire) -> None:
        """Send it."""
        if self.part == "body":
            await wire.write(Status(200, body=b"a\x00b\xc3").rendered)
        else:
            await wire.write(b"HTTP/1.1 200 OK\r\nx-broken: a\x00b\r\ncontent-length: 0\r\n\r\n")


@dataclass(frozen=True)
class HugeHeaders:
    """Send a 200 with ``size`` bytes of headers, in lines of 1,000."""

    size: int = 300_000
    early: bool = field(default=False, init=False)

    async def write(self, wire: Wire) -> None:
        """Send it."""
        await wire.write(b"HTTP/1.1 200 OK\r\n")
        await wire.write((b"x-filler: " + b"." * 988 + b"\r\n") * (self.size // 1_000))
        await wire.write(b"content-length: 0\r\n\r\n")


@dataclass(frozen=True)
class Garbage:
    """Send bytes that are not HTTP/1.1."""

    sent: bytes = b"220 mail.example ESMTP ready\r\n"
    early: bool = field(default=False, init=False)

    async def write(self, wire: Wire) -> None:
        """Send it, then close."""
        await wire.write(self.sent)
        wire.close()


def Http09() -> Garbage:  # noqa: N802 as above
    """Return an HTTP/0.9 response: no status, no headers."""
    return Garbage(b"<html>hello</html>")


@dataclass(frozen=True)
class Split:
    """Send a response with a second one smuggled in behind it, as if a header's value had contained line breaks."""

    forged: bytes = Status(200, {"x-forged": "1"}, b"forged").rendered
    early: bool = field(default=False, init=False)

    async def write(self, wire: Wire) -> None:
        """Send both at once, and leave the connection open."""
        await wire.write(b"HTTP/1.1 200 OK\r\nx-name: a\r\ncontent-length: 0\r\n\r\n" + self.forged)
        await wire.gone()


@dataclass(frozen=True)
class Unasked:
    """Send a valid response, and ``interval`` milliseconds later an unsolicited one on the open connection."""

    unasked: bytes = Status(200, {"x-forged": "1"}, b"unasked").rendered
    interval: float = 20
    early: bool = field(default=False, init=False)

    async def write(self, wire: Wire) -> None:
        """Send both, and leave the connection open."""
        await wire.write(Status(200).rendered)
        await wire.pause(self.interval)
        await wire.write(self.unasked)
        await wire.gone()


@dataclass(frozen=True)
class SlowHandshake:
    """Begin a TLS handshake, then send one byte every ``interval`` milliseconds; for a receiver without TLS."""

    interval: float = 20
    early: bool = field(default=True, init=False)

    async def write(self, wire: Wire) -> None:
        """Send a handshake record of 16 KiB until the sender disconnects."""
        await wire.write(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03")
        while True:
            await wire.write(b"\x00")
            await wire.pause(self.interval)
