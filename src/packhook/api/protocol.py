"""uvicorn's HTTP/1.1, with the hot path in front of ASGI, and two limits more: on a request's head and on its time.

::

    bytes ─▶ llhttp ─▶ head ─┬─ of a lean route ─▶ exchange.py ─┐
                             └─ of any other ────▶ ASGI cycle ──┴─▶ answer ─▶ the next of the pipeline

A request that is spelled in any other way than the plain one (a query, a quoted path, an upgrade) goes by ASGI, and is
answered alike.
"""

from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from packhook.api.door import Door
from packhook.api.exchange import Exchange
from packhook.api.headers import ALWAYS, NO_PAGE

HEAD_LIMIT: Final = 64 * 1024
SLOWEST_SECONDS: Final = 60.0
IDLE_SECONDS: Final = 15.0
LOOK_SECONDS: Final = 5.0


class BoundedHttp(HttpToolsProtocol):
    """Closes the connection of whoever sends an endless head, a request that does not come to its end, or nothing.

    One timer a connection looks at all three now and then; uvicorn's own would be set and cancelled for each request.
    """

    _head = 0  # bytes of the head that is being read; -1: none is
    _began: float | None = None  # when the request began that is being read
    _idle_since: float | None = None  # when the last answer was given, if nothing has come since
    _is_stuck = False  # whether the next request waits because the client does not take its answers

    def __init__(self, *args: Any, door: Door, **kwargs: Any) -> None:  # noqa: ANN401 as uvicorn has it
        super().__init__(*args, **kwargs)
        self._door = door

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 as uvicorn has it
        """A client is there; look now and then whether it gets on."""
        super().connection_made(transport)
        self._began = self.loop.time()
        self.loop.call_later(LOOK_SECONDS, self._look)

    def data_received(self, data: bytes) -> None:
        """Feed the parser; then see whether the head is still not over."""
        self._idle_since = None
        if self._head >= 0:
            self._head += len(data)
        super().data_received(data)
        if self._head > HEAD_LIMIT and not self.transport.is_closing():
            self.send_400_response("The request's headers are too large.")

    # --- what the parser tells

    def on_message_begin(self) -> None:
        """A request begins."""
        self._head = max(0, self._head)
        self._began = self.loop.time()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its head is whole: lean or not?"""
        self._head = -1
        exchange = self._lean()
        if exchange is None:
            super().on_headers_complete()
            return
        before: Exchange | None = self.cycle  # type: ignore[assignment] # or a cycle of uvicorn's, which is alike
        self.cycle = exchange  # type: ignore[assignment] # it has what is looked at
        if before is None or before.response_complete:
            exchange.start()
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((exchange, self._door))  # type: ignore[arg-type] # as above

    def on_body(self, body: bytes) -> None:
        """A part of its body."""
        if isinstance(self.cycle, Exchange):
            self.cycle.take(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """It is whole."""
        self._head = 0
        self._began = None
        if isinstance(self.cycle, Exchange):
            self.cycle.finish()
        else:
            super().on_message_complete()

    def _lean(self) -> Exchange | None:
        parser = self.parser
        found = self._door.find_plain(self.url)
        if found is None or parser.get_method() != b"POST" or parser.should_upgrade():
            return None
        exchange = Exchange(self._door, *found, self.headers, self.transport, self.flow, self.on_response_complete)
        exchange.keep_alive = parser.get_http_version() != "1.0" and parser.should_keep_alive()
        exchange.expects_continue = self.expect_100_continue
        return exchange

    # --- one after another

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:  # noqa: ANN401 as uvicorn has it
        """The next of the pipeline."""
        if isinstance(cycle, Exchange):
            cycle.start()
        else:
            super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """An answer is given; on with the next request, unless the client does not take its answers."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self._is_stuck = self.flow.write_paused
        if not self._is_stuck:
            self._go_on()

    def resume_writing(self) -> None:
        """The client takes its answers again."""
        super().resume_writing()
        if self._is_stuck:
            self._go_on()

    def _go_on(self) -> None:
        self._is_stuck = False
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._idle_since = self.loop.time()

    def send_400_response(self, msg: str) -> None:
        """uvicorn's answer to what is no request, which no application sees: with the headers of every answer."""
        usual = self.server_state.default_headers
        self.server_state.default_headers = [*usual, *ALWAYS, NO_PAGE]
        try:
            super().send_400_response(msg)
        finally:
            self.server_state.default_headers = usual

    def _look(self) -> None:
        if self.transport.is_closing():
            return
        now = self.loop.time()
        is_slow = self._began is not None and now - self._began > SLOWEST_SECONDS
        is_idle = self._idle_since is not None and now - self._idle_since > IDLE_SECONDS
        if is_slow or is_idle:
            self.transport.close()
            return
        self.loop.call_later(LOOK_SECONDS, self._look)
