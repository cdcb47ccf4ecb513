"""The node's HTTP/1.1 server: uvicorn's protocol with limits, and the publish routes in front of ASGI.

::

    bytes ─▶ parser ─▶ head ─┬─ POST of a publish route ─▶ PublishRequestCycle ─┐
                             └─ any other ─▶ uvicorn's RequestResponseCycle ────┴─▶ response ─▶ next of the pipeline

Both cycles are tasks with uvicorn's interface. tests/api/test_uvicorn.py pins what this module relies on of uvicorn.

Limits: connections, bytes and number of headers (trailers too), time to send a request, idle time, time to take
responses. Nothing more is read while a request waits for its turn or a client does not take its responses.
"""

import asyncio
from collections.abc import Sized
from http import HTTPStatus
from typing import Any, Final

import httptools
import structlog
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from packhook.api.headers import SECURITY_HEADERS, begin_request
from packhook.api.problems import MEDIA_TYPE, problem
from packhook.api.publish.app import PublishApp, Respond, Response
from packhook.api.requests import INVALID_REQUEST, InvalidRequest, check_head, refusal_of, require_path
from packhook.api.responses import encode
from packhook.core.errors import Unavailable

_log: Final = structlog.get_logger("packhook.api")

MAX_HEAD_BYTES: Final = 64 * 1024
MAX_HEADERS: Final = 200
"""Each takes a hundred bytes of memory or more, however short it is."""
SLOW_SECONDS = 60.0
IDLE_SECONDS = 15.0
CHECK_SECONDS = 5.0
RETRY_AFTER_SECONDS: Final = 1

_UPGRADE_HEADERS: Final = (b"connection", b"upgrade", b"http2-settings")
STATUS_LINES: Final = {status.value: b"HTTP/1.1 %d %b\r\n" % (status, status.phrase.encode()) for status in HTTPStatus}
_SECURITY_LINES: Final = b"".join(b"%b: %b\r\n" % header for header in SECURITY_HEADERS)


def _final_response(status: int, content_type: bytes, body: bytes, *headers: tuple[bytes, bytes]) -> bytes:
    """Return a whole response after which the connection is closed."""
    lines = [
        (b"content-type", content_type),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
        *headers,
        *SECURITY_HEADERS,
    ]
    return b"%b%b\r\n%b" % (STATUS_LINES[status], b"".join(b"%b: %b\r\n" % line for line in lines), body)


_TOO_MANY_CONNECTIONS: Final = _final_response(
    503,
    MEDIA_TYPE.encode(),
    encode(problem(Unavailable("too many connections are open; try again"))),
    (b"retry-after", b"%d" % RETRY_AFTER_SECONDS),
)


class BoundedFlowControl(FlowControl):
    """Resume reading only while no request waits in the pipeline. This bounds what is buffered."""

    def __init__(self, transport: asyncio.Transport, pipeline: Sized) -> None:
        super().__init__(transport)
        self._pipeline = pipeline

    def resume_reading(self) -> None:
        """Resume reading unless a request waits."""
        if not self._pipeline:
            super().resume_reading()


class PublishRequestCycle(RequestResponseCycle):
    """Run one publish request, as uvicorn's cycle does one for ASGI; write the response in one piece."""

    async def run_asgi(self, app: Any) -> None:  # noqa: ANN401 uvicorn's pipeline has one type for all cycles
        """Await the response of ``app``, a :data:`Respond`, and write it; an error after that goes to the log."""
        respond: Respond = app
        begin_request(self.scope)  # type: ignore[arg-type] # uvicorn has a type for what is a dict
        try:
            response = await respond(self.scope, self.receive)  # type: ignore[arg-type] # Starlette types ASGI otherwise
            if self.flow.write_paused and not self.disconnected:
                await self.flow.drain()
            self._write(response)
            self.on_response()
        except Exception as error:  # noqa: BLE001 the last place to log it
            _log.error("unhandled_exception", path=self.scope.get("path"), exc_info=error)
            self.transport.close()

    def _write(self, response: Response) -> None:
        self.response_complete = True
        if self.disconnected or self.transport.is_closing():
            return
        lines = [b"%b: %b\r\n" % header for header in (*self.default_headers, *response.headers)]
        identifier: str = self.scope["packhook.request_id"]  # type: ignore[typeddict-item] # as above
        lines.append(b"x-request-id: %b\r\n" % identifier.encode())
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        head = STATUS_LINES[response.status] + b"".join(lines) + _SECURITY_LINES
        self.transport.write(b"%b\r\n%b" % (head, response.body))
        if not self.keep_alive:
            self.transport.close()


class HttpProtocol(HttpToolsProtocol):
    """Serve one connection, within limits.

    One timer per connection checks all time limits every few seconds; uvicorn would set and cancel one per request.
    """

    _timer: asyncio.TimerHandle | None = None
    _place: str | None = None  # the address that the connection is counted for
    _head_bytes = 0  # received since the last byte of a body, or the end of a head or request
    _is_in_body = False  # a head is complete and its request is not
    _receiving_since: float | None = None  # when the request began that is being received
    _idle_since: float | None = None  # when the last response was complete, if no request has begun since
    _write_blocked_since: float | None = None  # since when the client does not take its responses
    _pending_error: InvalidRequest | None = None  # is sent after the responses to the requests before it

    def __init__(self, publish: PublishApp, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 uvicorn's own arguments
        super().__init__(*args, **kwargs)
        self._publish = publish

    # --- the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        """Start the checks of the connection; refuse it with 503 if there are too many."""
        super().connection_made(transport)
        self.flow = BoundedFlowControl(transport, self.pipeline)
        self._receiving_since = self.loop.time()
        if len(self.connections) > self._publish.max_connections or not self._take_place(transport):
            # Not logged: a client that connects this often must not fill the log.
            self.flow.pause_reading()
            transport.write(_TOO_MANY_CONNECTIONS)
            transport.close()
            return
        self._timer = self.loop.call_later(CHECK_SECONDS, self._check)

    def connection_lost(self, exc: Exception | None) -> None:
        """Release what the client sent at once; reference cycles would keep it until the garbage collector runs."""
        super().connection_lost(exc)
        if self._place is not None:
            self._publish.connections.release(self._place)
            self._place = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.pipeline.clear()
        self.headers = []
        self.cycle = self.scope = None  # type: ignore[assignment] # as before the first request

    def _take_place(self, transport: asyncio.Transport) -> bool:
        """Count the connection for its address; return False where that has as many as are free."""
        peer = transport.get_extra_info("peername")
        place = self._publish.peer_of(str(peer[0])) if isinstance(peer, tuple) else None
        if place is not None and not self._publish.connections.try_acquire(place):
            return False
        self._place = place
        return True

    def data_received(self, data: bytes) -> None:
        """Parse ``data``; refuse what is not a request, and an endless head or trailer."""
        self._head_bytes += len(data)
        upgraded_at: int | None = None
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            upgraded_at = upgrade.args[0]
        except httptools.HttpParserCallbackError as error:
            self._abort_or_refuse(error)
        except httptools.HttpParserError:
            self._refuse(refusal_of(self.headers or ()))
        if upgraded_at is not None:  # not within the handler: errors would have its exception as their context
            self._decline_upgrade(data[upgraded_at:])
        is_too_large = self._head_bytes > MAX_HEAD_BYTES or len(self.headers or ()) > MAX_HEADERS
        if is_too_large and not self.transport.is_closing():
            self.send_400_response("The request's headers are too large.")

    def _abort_or_refuse(self, error: httptools.HttpParserCallbackError) -> None:
        """Refuse the request if a callback did; any other error is a bug: log it, and close the connection."""
        match error.__context__:
            case InvalidRequest() as invalid:
                self._refuse(invalid)
            case httptools.HttpParserError():
                self.send_400_response(INVALID_REQUEST)
            case bug:
                _log.error("unhandled_exception", path=self.url.decode("latin-1"), exc_info=bug)
                self.transport.close()

    def _decline_upgrade(self, rest: bytes) -> None:
        """Parse again a request that asks for another protocol, as one that does not (RFC 9110, 7.8).

        ``rest`` is what follows its head.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            self.send_400_response(INVALID_REQUEST)
            return
        lines = [b"%b: %b\r\n" % header for header in self.headers if header[0] not in _UPGRADE_HEADERS]
        if not self.parser.should_keep_alive():
            lines.append(b"connection: close\r\n")
        version = self.parser.get_http_version().encode()
        head = b"%b %b HTTP/%b\r\n%b\r\n" % (method, self.url, version, b"".join(lines))
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(head + rest)

    # --- callbacks of the parser

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._receiving_since = self.loop.time()
        self._idle_since = None

    def on_headers_complete(self) -> None:
        """Check the head; start the cycle that answers the request, or queue it behind the one before."""
        self._head_bytes = 0
        if len(self.headers) > MAX_HEADERS:
            raise InvalidRequest("The request's headers are too large.")
        if self.parser.should_upgrade():
            return  # data_received declines it
        check_head(self.headers, self.parser.get_http_version())
        respond = self._publish.match(self.url) if self.parser.get_method() == b"POST" else None
        if respond is None or not self.url.startswith(b"/"):
            require_path(self.url)
        self._is_in_body = True
        if respond is None:
            super().on_headers_complete()
        else:
            self._begin_publish(respond)
        self.headers = []  # trailers go here: they are not headers

    def on_body(self, body: bytes) -> None:
        """Receive a part of the body."""
        self._head_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Complete the request."""
        self._head_bytes = 0
        if self.parser.should_upgrade():
            return
        self._is_in_body = False
        self._receiving_since = None
        super().on_message_complete()

    def _begin_publish(self, respond: Respond) -> None:
        """Start a cycle, or queue it, as uvicorn's ``on_headers_complete`` does for ASGI."""
        previous: RequestResponseCycle | None = self.cycle
        version = self.parser.get_http_version()
        self.scope["method"] = "POST"
        self.scope["path"] = self.url.decode("latin-1")
        self.cycle = PublishRequestCycle(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and self.parser.should_keep_alive() and not self._publish.is_draining,
            on_response=self.on_response_complete,
        )
        if previous is None or previous.response_complete:
            self._start(self.cycle, respond)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, respond))  # type: ignore[arg-type] # see PublishRequestCycle

    # --- one request after another

    def _start(self, cycle: Any, app: Any) -> None:  # noqa: ANN401 either kind of cycle with its application
        task = self.loop.create_task(cycle.run_asgi(app))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def on_response_complete(self) -> None:
        """Start the next request of the pipeline, or wait for one."""
        if self.transport.is_closing():
            return
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self.flow.resume_reading()
            self._start(cycle, app)
        elif self._pending_error is not None:
            self._send_error(self._pending_error)
        else:
            self.flow.resume_reading()
            self._idle_since = self.loop.time()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not a request, as uvicorn asks for."""
        self._refuse(InvalidRequest(msg))

    def _refuse(self, error: InvalidRequest) -> None:
        """Send a last response to what cannot be served, after the responses to the requests before it."""
        self.flow.pause_reading()
        if self._pending_error is not None:
            return
        self._pending_error = error
        cycle: RequestResponseCycle | None = self.cycle
        is_answered = cycle is None or cycle.response_complete
        if self._is_in_body and self.pipeline:
            self.pipeline.popleft()  # its body will never be complete
        elif self._is_in_body and is_answered:
            self.transport.close()  # the request has its response
            return
        elif self._is_in_body:
            self.cycle.disconnected = is_answered = True  # this is its response
            self.cycle.message_event.set()
        if is_answered and not self.pipeline:
            self._send_error(error)

    def _send_error(self, error: InvalidRequest) -> None:
        """Send it and close. Not logged, as in :meth:`connection_made`."""
        usual = self.server_state.default_headers
        text = str(error).encode()
        self.transport.write(_final_response(error.status, b"text/plain; charset=utf-8", text, *usual))
        self.transport.close()

    # --- time limits

    def pause_writing(self) -> None:
        """Note since when the client does not take its responses."""
        super().pause_writing()
        self._write_blocked_since = self.loop.time()

    def resume_writing(self) -> None:
        """Note that the client takes its responses."""
        super().resume_writing()
        self._write_blocked_since = None

    def _check(self) -> None:
        """Close a connection that is slow or idle; abort one whose client does not take its responses."""
        now = self.loop.time()
        if self.transport.is_closing() and self._write_blocked_since is None:
            self._write_blocked_since = now
        if self._write_blocked_since is not None and now - self._write_blocked_since > SLOW_SECONDS:
            self.transport.abort()
            return
        if not self.transport.is_closing() and self._is_slow(now):
            self.transport.close()
        self._timer = self.loop.call_later(CHECK_SECONDS, self._check)

    def _is_slow(self, now: float) -> bool:
        """Return whether a request takes too long to arrive, or none has begun for a while."""
        if self._receiving_since is not None:
            return not self.flow.read_paused and now - self._receiving_since > SLOW_SECONDS
        return self._idle_since is not None and now - self._idle_since > IDLE_SECONDS
