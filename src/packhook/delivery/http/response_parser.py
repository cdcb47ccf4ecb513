"""Parse one HTTP/1.1 response as it arrives, within limits.

::

    head (1xx heads are skipped) ─┬─ content-length ─▶ that many bytes ─────────────────┐
                                  ├─ chunked ─▶ size, data, size, data, 0, trailers ────┼─▶ complete
                                  ├─ neither ─▶ until the connection ends ──────────────┤
                                  └─ 101, 204, 304 ─▶ no body ──────────────────────────┘

What a status line and its framing say beyond doubt counts, as most clients read it: lines that end in LF alone, folded
headers, white space before a colon, a repeated equal length, ``transfer-encoding: identity``. After such oddities the
connection is not used again. Contradictory framing is an invalid response. docs/benchmarks/http-client.md has the list.
"""

import re
import string
from enum import Enum, auto
from typing import Final

from msgspec import Struct

from packhook.core.model import Outcome
from packhook.delivery.http import failure_reasons as reasons
from packhook.delivery.http.failure_reasons import FailureReason

BODY_LIMIT: Final = 64 * 1024
"""Bytes of a response body that are kept; the connection is closed after them."""
HEAD_LIMIT: Final = 64 * 1024
"""Bytes of all heads, chunk lines and trailers of one response."""
HEADERS_KEPT: Final = 100

_SWITCHING_PROTOCOLS: Final = 101
_FIRST_FINAL: Final = 200
_WITHOUT_BODY: Final = (_SWITCHING_PROTOCOLS, 204, 304)
_TLS_RECORD: Final = (b"\x15\x03", b"\x16\x03")
_START: Final = b"HTTP/1."
_ENDS_OF_HEAD: Final = (b"\n\r\n", b"\n\n")  # behind a CR, usually
_LONGEST_END: Final = 4
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.([01])[ \t]+([1-9][0-9]{2})(?:[ \t].*)?")
_ALLOWED: Final = bytes(byte for byte in range(256) if byte in b"\t\n" or (byte >= 0x20 and byte != 0x7F))
"""What a head may consist of, apart from the CR of its line ends."""
_NAME: Final = b"!#$%&'*+-.^_`|~" + (string.digits + string.ascii_letters).encode()
_LENGTH: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_CHUNK_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?", re.DOTALL)


class InvalidHead(ValueError):
    """Report a head that is not that of an HTTP/1.x response."""


class Head(Struct, frozen=True, gc=False):
    """Hold a parsed head: names in lower case, values as Latin-1, in their order.

    ``is_odd``: it was written in a way that the standard does not allow, and could be understood.
    """

    minor_version: int
    status: int
    headers: tuple[tuple[str, str], ...]
    is_odd: bool

    def tokens(self, name: str) -> list[str]:
        """Return the comma-separated values of a header, all of its lines together, in lower case."""
        found = [value for key, value in self.headers if key == name]
        return [token.strip() for token in ",".join(found).lower().split(",")] if found else []


def parse_head(block: bytes) -> Head:
    """Parse a head without its empty line; InvalidHead where it is none."""
    block = block.replace(b"\r\n", b"\n")
    if block.translate(None, _ALLOWED):
        raise InvalidHead
    lines = block.split(b"\n")
    status_line = _STATUS_LINE.fullmatch(lines[0])
    if status_line is None:
        raise InvalidHead
    headers: list[tuple[str, str]] = []
    is_odd = False
    for line in lines[1:]:
        if line[:1] in (b" ", b"\t"):  # obs-fold (RFC 9112, 5.2)
            if not headers:
                raise InvalidHead
            name, value = headers[-1]
            headers[-1] = name, f"{value} {line.decode('latin-1').strip()}".strip(" ")
            is_odd = True
            continue
        raw_name, colon, raw_value = line.partition(b":")
        bare_name = raw_name.rstrip(b" \t")
        if not (colon and bare_name) or bare_name.translate(None, _NAME):
            raise InvalidHead
        is_odd = is_odd or bare_name != raw_name
        headers.append((bare_name.decode("ascii").lower(), raw_value.decode("latin-1").strip()))
    return Head(int(status_line[1]), int(status_line[2]), tuple(headers), is_odd)


def find_end_of_head(received: bytes, searched: int = 0) -> tuple[int, int] | None:
    """Return where the head ends and where what follows begins; None while its empty line has not come.

    ``searched``: how many bytes have been searched in vain before, so that a head that drips in costs no more.
    """
    start = max(0, searched - _LONGEST_END)
    ends = [(at, at + len(end)) for end in _ENDS_OF_HEAD if (at := received.find(end, start)) >= 0]
    if not ends:
        return None
    newline, following = min(ends)
    return newline - (received[newline - 1 : newline] == b"\r"), following


def may_begin_response(received: bytes) -> bool:
    """Return whether an HTTP/1.x response can begin with these bytes."""
    return received.startswith(_START[: len(received)])


class _Part(Enum):
    HEAD = auto()
    LENGTH = auto()
    UNTIL_CLOSE = auto()
    CHUNK_SIZE = auto()
    CHUNK = auto()
    CHUNK_END = auto()
    TRAILERS = auto()
    COMPLETE = auto()


class ResponseParser:
    """Collect the next response of a connection.

    ``status``, ``headers`` and ``body``: what has come of a final response. ``failure``: why it is none.
    ``is_complete``: all of it has come. ``is_cut``: it has more body than is read. ``is_reusable``: the connection may
    be used again. ``has_begun``: a byte of it, or of a 1xx response, has come.
    """

    __slots__ = (
        "_framing_size", "_left", "_part", "_pending", "_room", "_searched", "body", "failure", "has_begun", "headers",
        "is_cut", "is_reusable", "status",
    )  # fmt: skip

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Expect the next response."""
        self.status = 0
        self.headers: tuple[tuple[str, str], ...] = ()
        self.body: list[bytes] = []
        self.has_begun = self.is_cut = self.is_reusable = False
        self.failure: FailureReason | None = None
        self._part = _Part.HEAD
        self._pending = b""
        self._framing_size = self._left = self._searched = 0
        self._room = BODY_LIMIT

    @property
    def is_complete(self) -> bool:
        """Return whether the whole response has come."""
        return self._part is _Part.COMPLETE

    @property
    def ends_with_connection(self) -> bool:
        """Return whether the end of the connection is the end of this response (RFC 9112, 6.3)."""
        return self._part is _Part.UNTIL_CLOSE

    def outcome(self, reason: FailureReason | None, duration: int) -> Outcome:
        """Return the outcome; with a failure, what had come of a final response is in it too, for the log."""
        return Outcome(
            status_code=self.status or None,
            headers=self.headers,
            body=b"".join(self.body),
            truncated=self.is_cut,
            failure=None if reason is None else reason.kind,
            detail="" if reason is None else reason.detail,
            duration=duration,
        )

    def feed(self, data: bytes) -> bool:
        """Take bytes; return whether the response is over: complete, cut or failed."""
        self.has_begun = True
        if self._part is _Part.COMPLETE:
            self.is_reusable = False  # bytes that no request asked for
            return True
        self._pending = self._pending + data if self._pending else data
        while self._pending and self.failure is None and not self.is_cut and self._step():
            pass
        return self.is_complete or self.is_cut or self.failure is not None

    def _step(self) -> bool:
        """Read one part of what is pending; return whether to go on."""
        match self._part:
            case _Part.HEAD:
                return self._read_head()
            case _Part.LENGTH:
                return self._read_body(_Part.COMPLETE)
            case _Part.CHUNK:
                return self._read_body(_Part.CHUNK_END)
            case _Part.UNTIL_CLOSE:
                self._left = len(self._pending)
                return self._read_body(_Part.UNTIL_CLOSE)
            case _Part.COMPLETE:
                self.is_reusable = False
                return False
        return self._read_line()

    def _read_head(self) -> bool:
        pending = self._pending.lstrip(b"\r\n")
        self._framing_size += len(self._pending) - len(pending)
        if not may_begin_response(pending):
            self.failure = reasons.SPEAKS_TLS if pending.startswith(_TLS_RECORD) else reasons.NOT_HTTP
            return False
        end = find_end_of_head(pending, self._searched)
        if (len(pending) if end is None else end[1]) + self._framing_size > HEAD_LIMIT:
            self.failure = reasons.LARGE_HEAD
            return False
        if end is None:
            self._pending, self._searched = pending, len(pending)
            return False
        self._searched = 0
        self._framing_size += end[1]
        self._pending = pending[end[1] :]
        try:
            head = parse_head(pending[: end[0]])
            if head.status >= _FIRST_FINAL or head.status == _SWITCHING_PROTOCOLS:
                self._begin_body(head)
        except InvalidHead:
            self.failure = reasons.NOT_VALID
        return True

    def _begin_body(self, head: Head) -> None:
        """Decide by the final head how its body is delimited."""
        lengths = set(head.tokens("content-length"))
        codings = [coding for coding in head.tokens("transfer-encoding") if coding not in ("", "identity")]
        if len(lengths) > 1 or not all(map(_LENGTH.fullmatch, lengths)):
            raise InvalidHead
        self.status, self.headers = head.status, head.headers[:HEADERS_KEPT]
        connection = head.tokens("connection")
        is_kept = "close" not in connection and (head.minor_version == 1 or "keep-alive" in connection)
        self.is_reusable = is_kept and not head.is_odd
        if head.status in _WITHOUT_BODY:
            self._part = _Part.COMPLETE
            self.is_reusable = self.is_reusable and head.status != _SWITCHING_PROTOCOLS
        elif codings and codings != ["chunked"]:
            self.failure = reasons.OTHER_CODING
        elif codings:
            self._part = _Part.CHUNK_SIZE
            self.is_reusable = self.is_reusable and not lengths
        elif lengths:
            self._left = int(lengths.pop())
            self._part = _Part.LENGTH if self._left else _Part.COMPLETE
        else:
            self._part = _Part.UNTIL_CLOSE
            self.is_reusable = False

    def _read_body(self, following: _Part) -> bool:
        """Keep what there is room for of the next ``_left`` bytes."""
        piece = self._pending[: self._left]
        self._pending = self._pending[self._left :]
        self._left -= len(piece)
        if len(piece) > self._room:
            self.is_cut = True
            piece = piece[: self._room]
        self._room -= len(piece)
        self.body.append(piece)
        if not self._left:
            self._part = following
        return bool(self._pending)

    def _read_line(self) -> bool:
        """Read a line of a chunked body's framing."""
        if self._part is _Part.CHUNK_END and self._pending[0] not in b"\r\n":
            self.failure = reasons.NOT_VALID
            return False
        line, newline, rest = self._pending.partition(b"\n")
        self._framing_size += len(line) if newline else 0
        if self._framing_size + (0 if newline else len(line)) > HEAD_LIMIT:
            self.failure = reasons.LARGE_HEAD
            return False
        if not newline:
            return False
        self._pending = rest
        line = line.removesuffix(b"\r")
        match self._part:
            case _Part.CHUNK_END if line:
                self.failure = reasons.NOT_VALID
            case _Part.CHUNK_END:
                self._part = _Part.CHUNK_SIZE
            case _Part.CHUNK_SIZE:
                self._begin_chunk(line)
            case _Part.TRAILERS if not line:
                self._part = _Part.COMPLETE
        return True

    def _begin_chunk(self, line: bytes) -> None:
        size = _CHUNK_SIZE.fullmatch(line.strip(b" \t"))
        if size is None:
            self.failure = reasons.NOT_VALID
            return
        self._left = int(size[1], 16)
        self._framing_size = 0
        self._part = _Part.CHUNK if self._left else _Part.TRAILERS
