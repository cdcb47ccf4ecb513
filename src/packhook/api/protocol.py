"""uvicorn's HTTP/1.1 with two limits more: on the size of a request's head, and on how long a request may take."""

from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from packhook.api.headers import ALWAYS, NO_PAGE

HEAD_LIMIT: Final = 64 * 1024
SLOWEST_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 10.0


class BoundedHttp(HttpToolsProtocol):
    """Closes the connection of whoever sends an endless head, or a request that does not come to its end."""

    _head = 0  # bytes of the head that is being read; -1: none is
    _began: float | None = None  # when the request began that is being read

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 as uvicorn has it
        """A client is there; look now and then whether it gets on."""
        super().connection_made(transport)
        self._began = self.loop.time()
        self.loop.call_later(LOOK_SECONDS, self._look)

    def data_received(self, data: bytes) -> None:
        """Feed the parser; then see whether the head is still not over."""
        if self._head >= 0:
            self._head += len(data)
        super().data_received(data)
        if self._head > HEAD_LIMIT and not self.transport.is_closing():
            self.send_400_response("The request's headers are too large.")

    def on_message_begin(self) -> None:
        """The parser begins a request."""
        self._head = max(0, self._head)
        self._began = self.loop.time()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The parser has the head."""
        self._head = -1
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The parser has the whole request."""
        self._head = 0
        self._began = None
        super().on_message_complete()

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
        if self._began is not None and self.loop.time() - self._began > SLOWEST_SECONDS:
            self.transport.close()
            return
        self.loop.call_later(LOOK_SECONDS, self._look)
