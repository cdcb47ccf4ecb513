"""What comes in over one connection, as llhttp tells it: a request's head, its body, its end.

::

    feed ─▶ llhttp ─▶ head ─┬─ of a lean route ─▶ an Exchange, which is told of its body here
                            └─ of any other ────▶ the connection, which makes an ASGI cycle of it

It stands apart from the connection, for that inherits uvicorn's protocol, and a compiled class that inherits from one
that is not is no quicker for it.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.server import ServerState

from packhook.api.door import Door
from packhook.api.exchange import Exchange

HEAD_LIMIT: Final = 64 * 1024
MOST_HEADERS: Final = 200
"""Each takes a hundred bytes and more of memory, however short it is."""


def _require_path(url: bytes) -> None:
    """HttpParserInvalidURLError for a target that uvicorn would break at: one without a path, or not of ASCII."""
    parsed: Any = httptools.parse_url(url)  # its annotations say that there is always a path
    if not (url.isascii() and parsed.path):
        raise httptools.HttpParserInvalidURLError(f"invalid url {url!r}")


class Connection(Protocol):
    """What has the requests answered, one after another."""

    def begin(self, exchange: Exchange) -> None:
        """A lean request's head is whole."""
        ...

    def begin_asgi(self) -> None:
        """Any other's is."""
        ...

    def take_asgi(self, body: bytes) -> None:
        """A part of that one's body."""
        ...

    def finish_asgi(self) -> None:
        """It is whole."""
        ...


class Incoming:
    """The request that is being read, ``url`` and ``headers`` (names in lower case); where and since when it stands.

    ``seconds`` is the event loop's clock. ``began``: when the request began that is being read. ``idle_since``: when
    the last answer was given, if no request has begun since. ``is_in_body``: a head is whole and its request is not.
    """

    __slots__ = (
        "_beside", "_connection", "_door", "_exchange", "_flow", "_over", "_seconds", "_server_state", "_transport",
        "began", "expects_continue", "headers", "idle_since", "is_in_body", "parser", "url",
    )  # fmt: skip

    def __init__(
        self, connection: Connection, door: Door, server_state: ServerState, seconds: Callable[[], float]
    ) -> None:
        self._connection: Connection | None = connection
        self._door = door
        self._server_state = server_state
        self._seconds = seconds
        self._transport: asyncio.Transport | None = None
        self._flow: FlowControl | None = None
        self._over: Callable[[], None] | None = None
        self._exchange: Exchange | None = None
        self._beside = 0  # bytes that came since the last that were of a body, or ended a head or a request
        self.parser: Any = None
        self.url = b""  # until a request has one
        self.headers: list[tuple[bytes, bytes]] = []
        self.expects_continue = False
        self.is_in_body = False
        self.began: float | None = None
        self.idle_since: float | None = None

    def open(self, transport: asyncio.Transport, flow: FlowControl, over: Callable[[], None]) -> None:
        """A client is there; ``over`` is called when an exchange is."""
        self._transport, self._flow, self._over = transport, flow, over
        self.began = self._seconds()

    def close(self) -> None:
        """It is gone, and what it had sent with it: a circle of references would keep that for a long while."""
        self.headers = []
        self.parser = self._exchange = self._over = self._connection = None

    def feed(self, data: bytes) -> None:
        """Take what came; raises what the parser does."""
        self._beside += len(data)
        self.parser.feed_data(data)

    @property
    def is_large(self) -> bool:
        """Whether what is no body goes on and on."""
        return self._beside > HEAD_LIMIT or len(self.headers) > MOST_HEADERS

    def rest(self) -> None:
        """Everything is answered."""
        self.idle_since = self._seconds()

    # --- what the parser tells

    def on_message_begin(self) -> None:
        """A request begins."""
        self.began = self._seconds()
        self.idle_since = None
        self.url = b""
        self.expects_continue = False
        self.headers = []

    def on_url(self, url: bytes) -> None:
        """A part of its target."""
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer."""
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expects_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Its head is whole: lean or not?"""
        self._beside = 0
        if len(self.headers) > MOST_HEADERS:
            raise httptools.HttpParserError("too many headers")
        if self.parser.should_upgrade():
            return
        self._exchange = exchange = self._lean()
        if exchange is None:
            _require_path(self.url)
        self.is_in_body = True
        assert self._connection is not None  # noqa: S101 whoever sends is there
        if exchange is None:
            self._connection.begin_asgi()
        else:
            self._connection.begin(exchange)
        self.headers = []  # trailers go there: they are no headers

    def on_body(self, body: bytes) -> None:
        """A part of its body."""
        self._beside = 0
        if self._exchange is not None:
            self._exchange.take(body)
        elif self._connection is not None:
            self._connection.take_asgi(body)

    def on_message_complete(self) -> None:
        """It is whole."""
        self._beside = 0
        if self.parser.should_upgrade():
            return
        self.is_in_body = False
        self.began = None
        if self._exchange is not None:
            self._exchange.finish()
        elif self._connection is not None:
            self._connection.finish_asgi()

    def _lean(self) -> Exchange | None:
        parser = self.parser
        found = self._door.find_plain(self.url)
        if found is None or parser.get_method() != b"POST":
            return None
        assert self._transport is not None and self._flow is not None and self._over is not None  # noqa: S101, PT018 open
        route, organization_id = found
        exchange = Exchange(
            self._door, route, organization_id, self.headers, self._server_state.default_headers,
            self._transport, self._flow, self._over,
        )  # fmt: skip
        # Without that header HTTP/1.0 is not kept anyway; and the version is a text that is made for each who asks.
        is_asked_for = exchange.has_header(b"connection")
        exchange.keep_alive = parser.should_keep_alive() and not (is_asked_for and parser.get_http_version() == "1.0")
        exchange.expects_continue = self.expects_continue
        return exchange
