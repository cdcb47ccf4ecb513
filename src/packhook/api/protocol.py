"""uvicorn's HTTP/1.1, with the hot path in front of ASGI, and limits: on connections, a request's head, and its time.

::

    bytes ─▶ incoming.py ─┬─ of a lean route ─▶ exchange.py ─┐
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

from packhook.api.door import Door
from packhook.api.exchange import Exchange
from packhook.api.headers import ALWAYS, NO_PAGE
from packhook.api.incoming import Incoming
from packhook.api.problems import MEDIA_TYPE, problem
from packhook.api.responses import encode
from packhook.core.errors import Unavailable

_log: Final = structlog.get_logger("packhook.api")

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

    _deaf_since: float | None = None  # since when the client does not take its answers
    _is_stuck = False  # whether the next request waits because the client does not take its answers
    _is_at_it = False  # see _go_on
    _may_go_on = False  # as above
    _refusal: str | None = None  # what is said to the client when the requests before are answered, as the last thing

    def __init__(self, *args: Any, door: Door, **kwargs: Any) -> None:  # noqa: ANN401 as uvicorn has it
        super().__init__(*args, **kwargs)
        self._door = door
        self._incoming = Incoming(self, door, self.server_state, self.loop.time)
        self._parse_with(httptools.HttpRequestParser(self._incoming))
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 as uvicorn has it
        """A client is there; look now and then whether it gets on."""
        super().connection_made(transport)
        self.flow = Flow(transport, self.pipeline)
        self._incoming.open(transport, self.flow, self.on_response_complete)
        if len(self.connections) > self._door.settings.max_connections:
            self._turn_away()
            return
        self.loop.call_later(LOOK_SECONDS, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone, and what it had sent with it."""
        super().connection_lost(exc)
        self._incoming.close()
        for cycle in [self.cycle, *(waiting for waiting, _ in self.pipeline)]:
            if isinstance(cycle, Exchange):
                cycle.leave()
        self.pipeline.clear()
        self.cycle = self.scope = None  # type: ignore[assignment] # as before the first request

    def _parse_with(self, parser: httptools.HttpRequestParser) -> None:
        self.parser = self._incoming.parser = parser

    def data_received(self, data: bytes) -> None:
        """Feed the parser; then see whether what is no body still goes on."""
        incoming = self._incoming
        try:
            incoming.feed(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._decline(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            if _is_ours(error):
                self._break_off(error)
            else:
                self.send_400_response("Invalid HTTP request received.")
        if incoming.is_large and not self.transport.is_closing():
            self.send_400_response("The request's headers are too large.")

    def _break_off(self, error: httptools.HttpParserError) -> None:
        """A fault of ours, in the middle of reading: what of the connection is still right, nobody knows."""
        _log.error("unhandled_exception", path=self._incoming.url.decode("latin-1"), exc_info=error.__context__)
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
        incoming = self._incoming
        lines = [b"%b: %b\r\n" % header for header in incoming.headers if header[0] not in _OF_AN_UPGRADE]
        if not self.parser.should_keep_alive():
            lines.append(b"connection: close\r\n")
        version = self.parser.get_http_version().encode()
        head = b"%b %b HTTP/%b\r\n%b\r\n" % (method, incoming.url, version, b"".join(lines))
        self._parse_with(httptools.HttpRequestParser(incoming))
        self.data_received(head + rest)

    # --- what incoming.py tells

    def begin(self, exchange: Exchange) -> None:
        """A lean request's head is whole: have it answered, now or when its turn comes."""
        before: Any = self.cycle  # an exchange, or one of uvicorn's own, which is alike
        self.cycle = exchange  # type: ignore[assignment] # it has what is looked at
        is_free = (before is None or before.response_complete) and not self._is_stuck
        if is_free and not self.pipeline:
            exchange.start()
            return
        self.pipeline.appendleft((exchange, self._door))  # type: ignore[arg-type] # as above
        if is_free:
            self._go_on()
        else:
            self.flow.pause_reading()

    def begin_asgi(self) -> None:
        """Any other's is: uvicorn takes it from here."""
        incoming = self._incoming
        self.on_message_begin()
        self.url = incoming.url
        self.headers.extend(incoming.headers)
        self.expect_100_continue = incoming.expects_continue
        self.on_headers_complete()

    def take_asgi(self, body: bytes) -> None:
        """A part of its body."""
        self.on_body(body)

    def finish_asgi(self) -> None:
        """It is whole."""
        self.on_message_complete()

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
        flow = self.flow
        if not (flow.write_paused or flow.read_paused or self.pipeline or self._refusal is not None):
            self._incoming.rest()  # nearly always
            return
        if self.transport.is_closing():
            return
        self._is_stuck = flow.write_paused
        if self._is_stuck:
            self.flow.pause_reading()
        elif self.pipeline or self._refusal is not None:
            self._go_on()
        else:
            self._rest()

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
            self._rest()

    def _rest(self) -> None:
        """Nothing waits."""
        self.flow.resume_reading()
        self._incoming.rest()

    # --- what is no request

    def send_400_response(self, msg: str) -> None:
        """The last answer, to what is no request: it comes when the requests before it have theirs."""
        self.flow.pause_reading()
        if self._refusal is not None:
            return
        self._refusal = msg
        cycle: Any = self.cycle  # None where nothing was asked
        is_answered = cycle is None or cycle.response_complete
        is_in_body = self._incoming.is_in_body
        if is_in_body and self.pipeline:
            self.pipeline.popleft()
        elif is_in_body and is_answered:
            self.transport.close()
            return
        elif is_in_body:
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
        began, idle_since = self._incoming.began, self._incoming.idle_since
        if began is not None:
            return not self.flow.read_paused and now - began > SLOWEST_SECONDS
        return idle_since is not None and now - idle_since > IDLE_SECONDS
