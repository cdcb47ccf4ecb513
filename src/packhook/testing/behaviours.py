"""How a receiver can answer: well, badly, late, endlessly, or not at all.

Each is a small value with one coroutine, ``write``, that does it to a :class:`Wire`. :class:`Status`, :class:`Unasked`
and :class:`Split` leave the connection open, the others close it. An ``early`` one acts as soon as there is a
connection, before anything is read from it.
"""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from http.client import responses
from typing import Literal, Protocol

from packhook.testing.wire import Wire


class Behaviour(Protocol):
    """One way to answer one request."""

    @property
    def early(self) -> bool:
        """Whether it acts before the request is read."""
        ...

    async def write(self, wire: Wire) -> None:
        """Do it; return (or let ConnectionResetError pass) when it is over."""
        ...


@dataclass(frozen=True)
class Status:
    """A proper answer; ``content-length`` is added. ``close`` asks the sender to close the connection after it."""

    code: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    close: bool = False
    early: bool = field(default=False, init=False)

    @cached_property
    def rendered(self) -> bytes:
        """The whole answer as it goes over the wire."""
        lines = [
            f"HTTP/1.1 {self.code} {responses.get(self.code, 'Status')}",
            *(f"{name}: {value}" for name, value in self.headers.items()),
        ]
        lines += [f"content-length: {len(self.body)}", *(["connection: close"] if self.close else []), "", ""]
        return "\r\n".join(lines).encode("latin-1") + self.body

    async def write(self, wire: Wire) -> None:
        """Send the answer."""
        await wire.write(self.rendered)


def Redirect(location: str, code: int = 302) -> Status:  # noqa: N802 it reads as the behaviour it makes
    """An answer that points elsewhere."""
    return Status(code, {"location": location})


def GzipBomb(size: int = 16 * 1024 * 1024) -> Status:  # noqa: N802 as above
    """A few hundred bytes, gzipped twice, that unpack to ``size`` bytes."""
    bomb = gzip.compress(gzip.compress(bytes(size)))
    return Status(200, {"content-encoding": "gzip, gzip", "content-type": "text/plain"}, bomb)


@dataclass(frozen=True)
class AnswerEarly:
    """A proper answer, sent before a byte of the request was read."""

    answer: Status = field(default_factory=lambda: Status(close=True))
    early: bool = field(default=True, init=False)

    async def write(self, wire: Wire) -> None:
        """Answer at once, then wait for the sender to go."""
        await wire.write(self.answer.rendered)
        await wire.gone()


@dataclass(frozen=True)
class Hang:
    """No answer, ever. ``early``: nothing is read either, so that even a TLS handshake would not come about."""

    early: bool = False

    async def write(self, wire: Wire) -> None:
        """Wait for the sender to give up."""
        await wire.gone()


@dataclass(frozen=True)
class HangUp:
    """The connection is closed without an answer. ``early``: even before the request is read."""

    early: bool = False

    async def write(self, wire: Wire) -> None:
        """Close."""
        wire.close()


@dataclass(frozen=True)
class Drip:
    """A 200 whose head or body comes one byte per ``interval`` milliseconds."""

    part: Literal["head", "body"] = "body"
    interval: float = 20
    early: bool = field(default=False, init=False)

    async def write(self, wire: Wire) -> None:
        """Drip until all is sent or the sender has gone."""
        answer = Status(200, {"content-type": "text/plain"}, b"." * 10_000).rendered
        split = 0 if self.part == "head" else answer.index(b"\r\n\r\n") + 4
        await wire.write(answer[:split])
        for at in range(split, len(answer)):
            await wire.write(answer[at : at + 1])
            await wire.pause(self.interval)


@dataclass(frozen=True)
class EndlessBody:
    """An answer whose body never ends, as fast as the sender reads it."""

    code: int = 200
    early: bool = field(default=False, init=False)

    async def write(self, wire: Wire) -> None:
        """Write until the sender has gone."""
        await wire.write(b"HTTP/1.1 %d Endless\r\ncontent-type: text/plain\r\n\r\n" % self.code)
        while True:
            await wire.write(b"." * 65_536)


@dataclass(frozen=True)
class EndlessInformational:
    """One 1xx answer after another, ``interval`` milliseconds apart, and never a final one."""

    interval: float = 0
    early: bool = field(default=False, init=False)

    async def write(self, wire: Wire) -> None:
        """Write until the sender has gone."""
        while True:
            await wire.write(b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\n")
            await wire.pause(self.interval)


@dataclass(frozen=True)
class Reset:
    """A TCP reset in the middle of the answer, after ``after``."""

    after: bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf of it"
    early: bool = field(default=False, init=False)

    async def write(self, wire: Wire) -> None:
        """Send a part, then reset."""
        await wire.write(self.after)
        wire.reset()


@dataclass(frozen=True)
class Cut:
    """An answer that promises more than comes before the connection is closed in good order."""

    sent: bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf of it"
    early: bool = field(default=False, init=False)

    async def write(self, wire: Wire) -> None:
        """Send a part, then close."""
        await wire.write(self.sent)
        wire.close()


@dataclass(frozen=True)
class NulByte:
    """A NUL and half a character in the body, or a NUL in a header."""

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
    """A 200 with ``size`` bytes of headers, in lines of 1,000."""

    size: int = 300_000
    early: bool = field(default=False, init=False)

    async def write(self, wire: Wire) -> None:
        """Send it."""
        await wire.write(b"HTTP/1.1 200 OK\r\n")
        await wire.write((b"x-filler: " + b"." * 988 + b"\r\n") * (self.size // 1_000))
        await wire.write(b"content-length: 0\r\n\r\n")


@dataclass(frozen=True)
class Garbage:
    """Something that is not HTTP/1.1."""

    sent: bytes = b"220 mail.example ESMTP ready\r\n"
    early: bool = field(default=False, init=False)

    async def write(self, wire: Wire) -> None:
        """Send it, then close."""
        await wire.write(self.sent)
        wire.close()


def Http09() -> Garbage:  # noqa: N802 as above
    """A page as HTTP/0.9 had them: no status, no headers."""
    return Garbage(b"<html>hello</html>")


@dataclass(frozen=True)
class Split:
    """An answer of which one header's value held line breaks, and behind them a whole second answer."""

    forged: bytes = Status(200, {"x-forged": "1"}, b"forged").rendered
    early: bool = field(default=False, init=False)

    async def write(self, wire: Wire) -> None:
        """Send both at once, and leave the connection open."""
        await wire.write(b"HTTP/1.1 200 OK\r\nx-name: a\r\ncontent-length: 0\r\n\r\n" + self.forged)
        await wire.gone()


@dataclass(frozen=True)
class Unasked:
    """A proper answer, and ``interval`` milliseconds later one that nobody asked for, on the open connection."""

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
    """A TLS handshake that begins well and comes one byte per ``interval`` milliseconds; for a receiver without TLS."""

    interval: float = 20
    early: bool = field(default=True, init=False)

    async def write(self, wire: Wire) -> None:
        """Drip a handshake record of 16 KiB until the sender has gone."""
        await wire.write(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03")
        while True:
            await wire.write(b"\x00")
            await wire.pause(self.interval)
