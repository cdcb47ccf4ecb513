"""uvicorn's HTTP/1.1, with the hot path in front of ASGI, and limits: on connections, a request's head, and its time.

::

    bytes ─▶ llhttp ─▶ head ─┬─ of a lean route ─▶ exchange.py ─┐
                             └─ of any other ────▶ ASGI cycle ──┴─▶ answer ─▶ the next of the pipeline

A request that is spelled in any other way than the plain one (a query, a quoted path, an upgrade) goes by ASGI, and is
answered alike.
"""

from collections.abc import Sized
from typing import Any, Final

import httptools
import structlog
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from packhook.api.answers import encode
from packhook.api.door import Door
from packhook.api.exchange import Exchange
from packhook.api.headers import ALWAYS, NO_PAGE
from packhook.api.problems import MEDIA_TYPE, problem
from packhook.core.errors import Unavailable

_log: Final = structlog.get_logger("packhook.api")

HEAD_LIMIT: Final = 64 * 1024
MOST_HEADERS: Final = 200
"""Each takes a hundred bytes and more of memory, however short it is."""
SLOWEST_SECONDS = 60.0
IDLE_SECONDS = 15.0
LOOK_SECONDS = 5.0
RETRY_AFTER_SECONDS: Final = 1
_OF_AN_UPGRADE: Final = (b"connection", b"upgrade", b"http2-settings")


def _too_many() -> bytes:
    """The whole answer to a connection too many."""
    body = encode(problem(Unavailable("too many connections are open; come again")))
    headers = (
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", b"%d" % len(body)),
        (b"retry-after", b"%d" % RETRY_AFTER_SECONDS),
        (b"connection", b"close"),
        *ALWAYS,
        NO_PAGE,
    )
    return b"HTTP/1.1 503 Service Unavailable\r\n%b\r\n%b" % (b"".join(b"%b: %b\r\n" % each for each in headers), body)


_TOO_MANY: Final = _too_many()


def _is_ours(error: httptools.HttpParserError) -> bool:
    """Whether what the parser tells broke, and not the request; what broke is its context."""
    of_a_step = isinstance(error, httptools.HttpParserCallbackError)
    return of_a_step and not isinstance(error.__context__, httptools.HttpParserError)


def _require_path(url: bytes) -> None:
    """HttpParserInvalidURLError for a target that uvicorn would break at: one without a path, or not of ASCII."""
    parsed: Any = httptools.parse_url(url)  # its annotations say that there is always a path
    if not (url.isascii() and parsed.path):
        raise httptools.HttpParserInvalidURLError(f"invalid url {url!r}")


class Flow(FlowControl):
    """Nothing more is read while a request waits for its turn, whoever asks for it: so what is held is bounded."""

    def __init__(self, transport: Any, pipeline: Sized) -> None:  # noqa: ANN401 as uvicorn has it
        super().__init__(transport)
        self._pipeline = pipeline

    def resume_reading(self) -> None:
        """Unless one waits."""
        if self.read_paused and not self._pipeline:
            super().resume_reading()


class BoundedHttp(HttpToolsProtocol):
    """Closes the connection of whoever sends an endless head or trailer, a request that does not come to its end, or
    nothing; and of whoever does not take the answers.

    One timer a connection looks at all of them now and then; uvicorn's own would be set and cancelled for each request.
    """

    url = b""  # until a request has one
    _beside = 0  # bytes that came since the last that were of a body, or ended a head or a request
    _is_in_body = False  # whether a head is whole and its request is not
    _began: float | None = None  # when the request began that is being read
    _idle_since: float | None = None  # when the last answer was given, if no request has begun since
    _deaf_since: float | None = None  # since when the client does not take its answers
    _is_stuck = False  # whether the next request waits because the client does not take its answers
    _is_at_it = False  # see _go_on
    _may_go_on = False  # as above
    _refusal: str | None = None  # what is said to the client when the requests before are answered, as the last thing

    def __init__(self, *args: Any, door: Door, **kwargs: Any) -> None:  # noqa: ANN401 as uvicorn has it
        super().__init__(*args, **kwargs)
        self.headers = []
        self._door = door

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 as uvicorn has it
        """A client is there; look now and then whether it gets on."""
        super().connection_made(transport)
        self.flow = Flow(transport, self.pipeline)
        if len(self.connections) > self._door.settings.max_connections:
            self._turn_away()
            return
        self._began = self.loop.time()
        self.loop.call_later(LOOK_SECONDS, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone, and what it had sent with it: a circle of references would keep that for a long while."""
        super().connection_lost(exc)
        for cycle in [self.cycle, *(waiting for waiting, _ in self.pipeline)]:
            if isinstance(cycle, Exchange):
                cycle.leave()
        self.pipeline.clear()
        self.cycle = self.scope = None  # type: ignore[assignment] # as before the first request
        self.headers = []

    def data_received(self, data: bytes) -> None:
        """Feed the parser; then see whether what is no body still goes on."""
        self._beside += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._decline(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            if _is_ours(error):
                self._break_off(error)
            else:
                self.send_400_response("Invalid HTTP request received.")
        is_large = self._beside > HEAD_LIMIT or len(self.headers) > MOST_HEADERS
        if is_large and not self.transport.is_closing():
            self.send_400_response("The request's headers are too large.")

    def _break_off(self, error: httptools.HttpParserError) -> None:
        """A fault of ours, in the middle of reading: what of the connection is still right, nobody knows."""
        _log.error("fault", path=self.url.decode("latin-1"), exc_info=error.__context__)
        self.transport.close()

    def _turn_away(self) -> None:
        """There are too many already. Nothing is logged: whoever knocks so often may not write the log."""
        self.flow.pause_reading()
        self.transport.write(_TOO_MANY)
        self.transport.close()

    def _decline(self, rest: bytes) -> None:
        """Read a request that asks for another protocol as one that does not (RFC 9110, 7.8): ``rest`` is its body."""
        method = self.parser.get_method()
        if method == b"CONNECT":
            self.send_400_response("Invalid HTTP request received.")
            return
        lines = [b"%b: %b\r\n" % header for header in self.headers if header[0] not in _OF_AN_UPGRADE]
        if not self.parser.should_keep_alive():
            lines.append(b"connection: close\r\n")
        head = b"%b %b HTTP/%b\r\n%b\r\n" % (method, self.url, self.parser.get_http_version().encode(), b"".join(lines))
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(head + rest)

    # --- what the parser tells

    def on_message_begin(self) -> None:
        """A request begins."""
        self._began = self.loop.time()
        self._idle_since = None
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_url(self, url: bytes) -> None:
        """A part of its target."""
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer."""
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Its head is whole: lean or not?"""
        self._beside = 0
        if len(self.headers) > MOST_HEADERS:
            raise httptools.HttpParserError("too many headers")
        if self.parser.should_upgrade():
            return
        exchange = self._lean()
        if exchange is None:
            _require_path(self.url)
        self._is_in_body = True
        if exchange is None:
            self._make_scope()
            super().on_headers_complete()
        else:
            before: Any = self.cycle  # an exchange, or one of uvicorn's own, which is alike
            self.cycle = exchange  # type: ignore[assignment] # it has what is looked at
            self.pipeline.appendleft((exchange, self._door))  # type: ignore[arg-type] # as above
            if (before is None or before.response_complete) and not self._is_stuck:
                self._go_on()
            else:
                self.flow.pause_reading()
        self.headers = []  # trailers go there: they are no headers

    def _make_scope(self) -> None:
        """What uvicorn makes when a request begins; a lean one needs none of it."""
        url, headers, expects_continue = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url = url
        self.headers.extend(headers)
        self.expect_100_continue = expects_continue

    def on_body(self, body: bytes) -> None:
        """A part of its body."""
        self._beside = 0
        if isinstance(self.cycle, Exchange):
            self.cycle.take(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """It is whole."""
        self._beside = 0
        if self.parser.should_upgrade():
            return
        self._is_in_body = False
        self._began = None
        if isinstance(self.cycle, Exchange):
            self.cycle.finish()
        else:
            super().on_message_complete()

    def _lean(self) -> Exchange | None:
        parser = self.parser
        found = self._door.find_plain(self.url)
        if found is None or parser.get_method() != b"POST":
            return None
        usual = self.server_state.default_headers
        exchange = Exchange(
            self._door, *found, self.headers, usual, self.transport, self.flow, self.on_response_complete
        )
        exchange.keep_alive = parser.get_http_version() != "1.0" and parser.should_keep_alive()
        exchange.expects_continue = self.expect_100_continue
        return exchange

    # --- one after another

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:  # noqa: ANN401 as uvicorn has it
        """The next of the pipeline; uvicorn's own waits too where the client does not take its answers."""
        if isinstance(cycle, Exchange):
            cycle.start()
        elif self._is_stuck:
            self.pipeline.appendleft((cycle, app))
        else:
            super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """An answer is given; on with the next request, unless the client does not take its answers."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self._is_stuck = self.flow.write_paused
        if self._is_stuck:
            self.flow.pause_reading()
        else:
            self._go_on()

    def pause_writing(self) -> None:
        """The client does not take its answers as fast as they come."""
        super().pause_writing()
        self._deaf_since = self.loop.time()

    def resume_writing(self) -> None:
        """It takes them again."""
        super().resume_writing()
        self._deaf_since = None
        if self._is_stuck:
            self._is_stuck = False
            self._go_on()

    def _go_on(self) -> None:
        """With the next, and with those behind it that are answered at once: in a loop, for they may be many."""
        self._may_go_on = True
        if self._is_at_it:
            return
        self._is_at_it = True
        try:
            while self._may_go_on:
                self._may_go_on = False
                self._next()
        finally:
            self._is_at_it = False

    def _next(self) -> None:
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self.flow.resume_reading()
            self._start_asgi_task(cycle, app)
        elif self._refusal is not None:
            self._refuse(self._refusal)
        else:
            self.flow.resume_reading()
            self._idle_since = self.loop.time()

    # --- what is no request

    def send_400_response(self, msg: str) -> None:
        """The last answer, to what is no request: it comes when the requests before it have theirs."""
        self.flow.pause_reading()
        if self._refusal is not None:
            return
        self._refusal = msg
        cycle: Any = self.cycle  # None where nothing was asked
        is_answered = cycle is None or cycle.response_complete
        if self._is_in_body and self.pipeline:
            self.pipeline.popleft()
        elif self._is_in_body and is_answered:
            self.transport.close()
            return
        elif self._is_in_body:
            cycle.disconnected = is_answered = True
            cycle.message_event.set()
        if is_answered and not self._is_stuck and not self.pipeline:
            self._refuse(msg)

    def _refuse(self, msg: str) -> None:
        """In uvicorn's words, with the headers of every answer. Nothing is logged: see :meth:`_turn_away`."""
        usual = self.server_state.default_headers
        self.server_state.default_headers = [*usual, *ALWAYS, NO_PAGE]
        try:
            super().send_400_response(msg)
        finally:
            self.server_state.default_headers = usual

    def _look(self) -> None:
        if self not in self.connections:
            return  # it is gone
        now = self.loop.time()
        if self._deaf_since is not None and now - self._deaf_since > SLOWEST_SECONDS:
            self.transport.abort()
            return
        if self.transport.is_closing():
            self._deaf_since = now if self._deaf_since is None else self._deaf_since
        elif self._is_slow(now):
            self.transport.close()
        self.loop.call_later(LOOK_SECONDS, self._look)

    def _is_slow(self, now: float) -> bool:
        """Whether a request takes too long to come, or none has come for a while."""
        if self._began is not None:
            return not self.flow.read_paused and now - self._began > SLOWEST_SECONDS
        return self._idle_since is not None and now - self._idle_since > IDLE_SECONDS
