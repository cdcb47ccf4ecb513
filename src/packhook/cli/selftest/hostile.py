"""List the hostile receivers: how each behaves, and which outcomes an attempt at it may have."""

from functools import cache
from typing import Final

from msgspec import Struct

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
    Http09,
    HugeHeaders,
    NulByte,
    Redirect,
    Reset,
    SlowHandshake,
    Split,
    Status,
    Unasked,
)

_WAITING: Final = "timeout: the time ran out while waiting for the response: respond first, and do the work afterwards"
_READING: Final = "timeout: the time ran out while reading the response: send a short one, and end it"
_HANDSHAKE: Final = "timeout: the time ran out while agreeing on TLS: check that the endpoint speaks TLS on this port"
_TOO_LARGE: Final = "invalid_response: the response's headers are too large"
_NOT_HTTP: Final = "invalid_response: the response is not HTTP/1.1"
_NOT_VALID: Final = "invalid_response: the response is not valid HTTP"
_RESET: Final = "connection_lost: the connection was reset before the whole response had come"
_CUT: Final = "connection_lost: the connection was closed before the whole response had come"
_NO_RESPONSE: Final = "connection_lost: the connection was closed without a response"
_EMPTY: Final = "response 200, 0 bytes"
_RESPONSE_101: Final = "response 101, 0 bytes"
_NOT_FINAL: Final = "response 101, invalid_response: answered with the status code 101, which is not a final one"
_CUT_OFF: Final = "65536 bytes and then cut off"
_BOMB_SIZE: Final = 100 * 1024 * 1024
_LONG_LINE: Final = b"HTTP/1.1 200 OK\r\nx: " + b"." * 300_000
_LONG_STATUS: Final = b"HTTP/1.1 200 " + b"." * 300_000
_CHUNKED: Final = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n"
_FORGED: Final = Status(200, {"x-forged": "1"}, b"forged").rendered
_SWITCHED: Final = b"HTTP/1.1 101 Go\r\nupgrade: x\r\n\r\n"
_HUGE_CHUNK: Final = _CHUNKED + b"\r\nfffffffffffffff0\r\n."
_TWO_LENGTHS: Final = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\ncontent-length: 9\r\n\r\n"
_CHUNKS_AND_LENGTH: Final = _CHUNKED + b"content-length: 9\r\n\r\n0\r\n\r\n" + _FORGED


class Hostile(Struct, frozen=True):
    """Hold a receiver, by what it does, and the outcomes that an attempt at it may have.

    ``tls``: it is asked for a TLS handshake. ``until_done``: seconds after which it has surely done it all.
    """

    group: str
    what: str
    behaviour: Behaviour
    expected: tuple[str, ...] = ()
    tls: bool = False
    until_done: float = 0.0


@cache
def hostile_receivers() -> tuple[Hostile, ...]:
    """Return all of them; made on first use, for the bomb takes half a second to make."""
    bomb = GzipBomb(_BOMB_SIZE)
    size = len(bomb.body)
    return (
        Hostile("slow", "no response", Hang(), (_WAITING,)),
        Hostile("slow", "headers, a byte at a time", Drip("head"), (_READING,)),
        Hostile("slow", "a body, a byte at a time", Drip("body"), (f"response 200, {_READING}",)),
        Hostile("slow", "1xx responses, now and then", EndlessInformational(interval=20), (_READING,)),
        Hostile("slow", "no TLS handshake", Hang(early=True), (_HANDSHAKE,), tls=True),
        Hostile("slow", "a TLS handshake, a byte at a time", SlowHandshake(), (_HANDSHAKE,), tls=True),
        Hostile("slow", "another protocol than was agreed", Cut(_SWITCHED), (_RESPONSE_101, _NOT_FINAL)),
        Hostile("large", "1xx responses without end", EndlessInformational(), (_TOO_LARGE, _READING)),
        Hostile("large", "300 KB of headers", HugeHeaders(300_000), (_TOO_LARGE,)),
        Hostile("large", "a header line of 300 KB", Cut(_LONG_LINE), (_TOO_LARGE,)),
        Hostile("large", "a status line of 300 KB", Cut(_LONG_STATUS), (_TOO_LARGE,)),
        Hostile("large", "a body without end", EndlessBody(), (f"response 200, {_CUT_OFF}",)),
        Hostile("large", "an error with a body without end", EndlessBody(503), (f"response 503, {_CUT_OFF}",)),
        Hostile("large", f"{size} bytes, gzipped twice: 100 MiB", bomb, (f"response 200, {size} bytes",)),
        Hostile("large", "a chunk of 16 EiB", Cut(_HUGE_CHUNK), (f"response 200, {_CUT}",)),
        Hostile("broken", "reset in the middle", Reset(), (f"response 200, {_RESET}",)),
        Hostile("broken", "reset instead of a response", Reset(after=b""), (_RESET,)),
        Hostile("broken", "closed in the middle", Cut(), (f"response 200, {_CUT}",)),
        Hostile("broken", "closed without a response", HangUp(), (_NO_RESPONSE,)),
        Hostile("broken", "closed before the request was read", HangUp(early=True), (_NO_RESPONSE, _RESET)),
        Hostile("broken", "answered before the request was read", AnswerEarly(), (_EMPTY,)),
        Hostile("nonsense", "NUL and broken UTF-8 in the body", NulByte("body"), ("response 200, 4 bytes",)),
        Hostile("nonsense", "NUL in a header", NulByte("head"), (_NOT_VALID,)),
        Hostile("nonsense", "an HTTP/0.9 page", Http09(), (_NOT_HTTP,)),
        Hostile("nonsense", "another protocol", Garbage(), (_NOT_HTTP,)),
        Hostile("nonsense", "an HTTP/2 preface", Garbage(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"), (_NOT_HTTP,)),
        Hostile("nonsense", "bytes", Garbage(bytes(range(256)) * 16), (_NOT_HTTP,)),
        Hostile("nonsense", "a chunk without a size", Cut(_CHUNKED + b"\r\nzz\r\n"), (f"response 200, {_NOT_VALID}",)),
        Hostile("nonsense", "a negative length", Cut(b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n"), (_NOT_VALID,)),
        Hostile("forged", "a redirect inwards", Redirect("http://169.254.169.254/"), ("response 302, 0 bytes",)),
        Hostile("forged", "a response split by a header", Split(_FORGED), (_EMPTY,)),
        Hostile("forged", "two lengths", Cut(_TWO_LENGTHS), (_NOT_VALID,)),
        Hostile("forged", "chunks and a length", Cut(_CHUNKS_AND_LENGTH), (_EMPTY,)),
        Hostile("forged", "unasked, right behind its own", Unasked(_FORGED, interval=0), (_EMPTY,), until_done=0.2),
        Hostile("forged", "unasked, a little later", Unasked(_FORGED), (_EMPTY,), until_done=0.2),
        Hostile("forged", "unasked, half a response", Unasked(_FORGED[:9]), (_EMPTY,), until_done=0.2),
    )  # fmt: skip
