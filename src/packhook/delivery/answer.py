"""One HTTP/1.1 answer as it comes: parsed by llhttp, kept within limits, and what it came to so far.

Informational answers (1xx) before it are passed over; what stands behind its end is no answer. Lines that end in LF
alone, and a length beside chunks, are read as most clients read them; after such a length the connection is not used
again.
"""

from typing import Any, Final

import httptools

from packhook.delivery import causes
from packhook.delivery.causes import Cause
from packhook.delivery.limits import BODY_LIMIT, HEAD_LIMIT, HEADERS_KEPT

_FINAL: Final = 200
_SWITCHING: Final = 101
_VERSIONS: Final = ("1.0", "1.1")
_CODINGS: Final = ("", "chunked")
_LENGTHS: Final = frozenset({"content-length", "transfer-encoding"})


class Answer:
    """The answer that a connection gets next. ``trouble`` says why it is none; ``is_whole`` that it is.

    ``status``, ``headers`` and ``body`` are what came of a final answer. ``is_cut`` says that there was more body than
    is taken. ``keeps`` says that the connection may be used again.
    """

    __slots__ = (
        "_beside", "_head_size", "_parser", "_room", "body", "has_begun", "has_head", "headers", "is_cut", "is_whole",
        "keeps", "status", "trouble",
    )  # fmt: skip

    def __init__(self) -> None:
        self._parser: Any = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(lenient_chunked_length=True, lenient_optional_cr_before_lf=True)
        self.clear()

    def clear(self) -> None:
        """On to the next."""
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.body: list[bytes] = []
        self.has_begun = self.has_head = self.is_whole = self.is_cut = self.keeps = False
        self.trouble: Cause | None = None
        self._head_size = self._beside = 0
        self._room = BODY_LIMIT

    def close(self) -> None:
        """Nothing more comes. The parser goes: it holds this, and only the collector would find the two of them."""
        self.clear()
        self._parser = None

    def feed(self, data: bytes) -> bool:
        """Take what came; whether that is all there is to it, for better or worse."""
        is_first, self.has_begun = not self.has_begun, True
        self._beside += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.is_whole, self.keeps = True, False
        except httptools.HttpParserError:
            self.keeps = False
            if not self.is_whole:
                self.trouble = causes.NOT_VALID if data.startswith(b"HTTP/1.") or not is_first else causes.NOT_HTTP
        if not self.is_whole and self.trouble is None and self._head_size + self._beside > HEAD_LIMIT:
            self.trouble = causes.LARGE_HEAD  # or a trailer that does not end
        return self.is_whole or self.is_cut or self.trouble is not None

    def ends_with_connection(self) -> bool:
        """Whether the end of the connection is the end of this answer (RFC 9112, 6.3)."""
        return self.has_head and not self._names() & _LENGTHS

    def _count_head(self, size: int) -> None:
        """Of what has come whole; ``_beside`` counts what came since that, or since the last of a body."""
        self._beside = 0
        self._head_size += size
        if self._head_size > HEAD_LIMIT:
            self.trouble = causes.LARGE_HEAD

    def _names(self) -> set[str]:
        return {name for name, _ in self.headers}

    def _coding(self) -> str:
        return next((value.lower() for name, value in self.headers if name == "transfer-encoding"), "")

    # --- what the parser tells

    def on_message_begin(self) -> None:
        """This answer, an informational one before it, or one behind it that nobody asked for."""
        self.keeps = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer."""
        if self.has_head:
            return
        self._count_head(len(name) + len(value) + len(b": \r\n"))
        if len(self.headers) < HEADERS_KEPT:
            self.headers.append((name.decode("latin-1").lower(), value.decode("latin-1").strip()))

    def on_headers_complete(self) -> None:
        """A head is whole."""
        if self.is_whole or self.trouble is not None:
            return
        status = self._parser.get_status_code()
        self._count_head(len(b"HTTP/1.1 200 OK\r\n\r\n"))
        if self._parser.get_http_version() not in _VERSIONS:
            self.trouble = causes.NOT_HTTP
        elif status >= _FINAL or status == _SWITCHING:
            self.status, self.has_head = status, True
            if self._coding() not in _CODINGS:
                self.trouble = causes.OTHER_CODING

    def on_body(self, chunk: bytes) -> None:
        """A part of the body; what there is room for is kept."""
        if self.is_whole or not self.has_head:
            return
        self._beside = 0
        if len(chunk) > self._room:
            self.is_cut = True
            chunk = chunk[: self._room]
        self._room -= len(chunk)
        self.body.append(chunk)

    def on_message_complete(self) -> None:
        """An answer is whole: the final one, or an informational one."""
        if self.is_whole:
            self.keeps = False
        elif self.has_head:
            self.is_whole = True
            self.keeps = self._parser.should_keep_alive() and not self._names() >= _LENGTHS
        else:
            self.headers.clear()
