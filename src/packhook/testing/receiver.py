"""Run a real HTTP/1.1 server on loopback that records requests and answers as the test says.

::

    bytes ─▶ _ReceiverConnection (httptools) ─▶ Received, recorded ─▶ waiters checked ─▶ the next behaviour ─▶ bytes

A :class:`Status` is written at once; any other behaviour runs in a task of its own.
"""

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Self, cast

import httptools

from packhook.testing.behaviours import Behaviour, Status
from packhook.testing.signatures import is_signed
from packhook.testing.wire import Wire

Condition = Callable[[Sequence["Received"]], bool]


class Received:
    """Hold one request. ``at`` is ``time.monotonic()`` when its last byte was read, in seconds.

    ``certificate`` is the client certificate (DER) of its connection, if one was requested and sent. ``is_cut``: the
    body was larger than the receiver takes, and the rest was not read.
    """

    __slots__ = ("_headers", "at", "body", "certificate", "is_cut", "method", "path", "verified")

    def __init__(
        self,
        method: str,
        path: str,
        headers: list[tuple[bytes, bytes]],
        body: bytes,
        certificate: bytes | None = None,
        *,
        is_cut: bool = False,
    ) -> None:
        self.method = method
        self.path = path
        self._headers = headers
        self.body = body
        self.certificate = certificate
        self.is_cut = is_cut
        self.at = time.monotonic()
        self.verified: bool | None = None  # None if the receiver has no secrets

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers by lower-case name; of a repeated header the last."""
        return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in self._headers}

    @property
    def raw_headers(self) -> tuple[tuple[str, str], ...]:
        """Return the headers as they came, in order, repeated ones too."""
        return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in self._headers)

    def __repr__(self) -> str:
        return f"<{self.method} {self.path} {len(self.body)} bytes>"


class Receiver:
    """Run a webhook receiver for the duration of an ``async with``.

    ``answer`` is used when no behaviour is queued: a behaviour, or a function from the request to one. With
    ``secrets``, each request's ``verified`` says whether its signature is valid. With ``tls`` it speaks TLS, and
    requests a client certificate if the context does. ``port`` 0 takes a free one. ``hostname`` is the name in ``url``
    and changes nothing else. A body above ``max_body_bytes`` is cut, and its connection closed after the answer.
    Without ``is_recorded`` it keeps no request, so it can run for as long as it likes.
    """

    def __init__(
        self,
        answer: Behaviour | Callable[[Received], Behaviour] | None = None,
        *,
        secrets: Sequence[str] = (),
        tls: ssl.SSLContext | None = None,
        address: str = "127.0.0.1",
        port: int = 0,
        hostname: str = "",
        max_body_bytes: int | None = None,
        is_recorded: bool = True,
    ) -> None:
        self.answer = answer or Status(200)
        self.received: list[Received] = []
        self.connections_made = 0
        self.port = port
        self.max_body_bytes = max_body_bytes
        self._is_recorded = is_recorded
        self._address = address
        self._hostname = hostname or address
        self._secrets = tuple(secrets)
        self._tls = tls
        self._queued: deque[Behaviour] = deque()
        self._waiters: dict[asyncio.Future[None], Condition] = {}
        self._connections: set[_ReceiverConnection] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Return the receiver's URL without a path: ``http://127.0.0.1:PORT``."""
        return f"{'https' if self._tls else 'http'}://{self._hostname}:{self.port}"

    def answers(self, *behaviours: Behaviour) -> None:
        """Queue behaviours for the next requests, one each; after them ``answer`` is used again."""
        self._queued.extend(behaviours)

    async def wait_for(self, wanted: int | Condition, timeout_seconds: float = 5) -> list[Received]:
        """Return all requests once there are so many, or once the function returns True. TimeoutError if too late."""
        condition: Condition = wanted if callable(wanted) else lambda received: len(received) >= wanted
        if not condition(self.received):
            await self._wait(
                condition, timeout_seconds, what=f"{'what the function waits for' if callable(wanted) else wanted}"
            )
        return list(self.received)

    async def wait_until_quiet(self, timeout_seconds: float = 5) -> None:
        """Wait until every connection is closed; TimeoutError if some stay open."""
        async with asyncio.timeout(timeout_seconds):
            await asyncio.gather(*(connection.lost.wait() for connection in self._connections))

    async def _wait(self, condition: Condition, timeout_seconds: float, what: str) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters[waiter] = condition
        try:
            async with asyncio.timeout(timeout_seconds):
                await waiter
        except TimeoutError:
            message = (
                f"expected {what} received within {timeout_seconds} s, got {len(self.received)}: {self.received[-5:]}"
            )
            raise TimeoutError(message) from None
        finally:
            del self._waiters[waiter]

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connect, self._address, self.port, ssl=self._tls, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None  # noqa: S101 it was entered
        self._server.close()
        await asyncio.gather(*(connection.end() for connection in list(self._connections)))
        await self._server.wait_closed()

    def _connect(self) -> "_ReceiverConnection":
        return _ReceiverConnection(self)

    def opened(self, connection: "_ReceiverConnection") -> Behaviour | None:
        """Register a connection. Return the next behaviour if it is an early one."""
        self._connections.add(connection)
        self.connections_made += 1
        return self._queued.popleft() if self._queued and self._queued[0].early else None

    def closed(self, connection: "_ReceiverConnection") -> None:
        """Unregister a connection."""
        self._connections.discard(connection)

    def take(self, received: Received) -> Behaviour:
        """Record a request, wake its waiters, and return the behaviour that answers it."""
        if self._secrets:
            received.verified = is_signed(self._secrets, received.headers, received.body)
        if self._is_recorded:
            self.received.append(received)
        for waiter, condition in self._waiters.items():
            if not waiter.done() and condition(self.received):
                waiter.set_result(None)
        if self._queued:
            return self._queued.popleft()
        return self.answer(received) if callable(self.answer) else self.answer


class _ReceiverConnection(asyncio.Protocol):
    """Parse the requests of one connection, and run behaviours on it."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._parser: Any = httptools.HttpRequestParser(self)
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._path = b""
        self._ignores_input = False
        self._task: asyncio.Task[None] | None = None
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's have the methods, not the class
        self._wire = Wire(self._transport)
        tls = self._transport.get_extra_info("ssl_object")
        self._certificate: bytes | None = tls.getpeercert(binary_form=True) if tls else None
        early = self._receiver.opened(self)
        if early:
            self._ignores_input = True
            self._perform(early)

    def data_received(self, data: bytes) -> None:
        if self._ignores_input:
            return  # read and dropped: a paused transport would not notice that the sender disconnects
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError:
            self._transport.abort()
            raise  # a fault of this module, or of the function that answers
        except httptools.HttpParserError:
            self._transport.close()

    def on_url(self, url: bytes) -> None:
        """Collect a part of the request's target."""
        self._path += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header."""
        self._headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        """Collect a part of the body; answer at once if there is too much of it."""
        if self._ignores_input:
            return
        self._body.append(body)
        self._body_bytes += len(body)
        if self._receiver.max_body_bytes is not None and self._body_bytes > self._receiver.max_body_bytes:
            self._ignores_input = True
            self._take(is_cut=True)

    def on_message_complete(self) -> None:
        """Record the complete request, and answer it."""
        if not self._ignores_input:
            self._take(is_cut=False)

    def _take(self, *, is_cut: bool) -> None:
        method, body = self._parser.get_method().decode(), b"".join(self._body)
        if is_cut:
            body = body[: self._receiver.max_body_bytes]
        received = Received(method, self._path.decode("latin-1"), self._headers, body, self._certificate, is_cut=is_cut)
        self._path, self._headers, self._body, self._body_bytes = b"", [], [], 0
        behaviour = self._receiver.take(received)
        if type(behaviour) is Status and self._task is None:
            self._transport.write(behaviour.rendered)
            if behaviour.close or is_cut:
                self._transport.close()
        else:
            self._perform(behaviour)

    def _perform(self, behaviour: Behaviour) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(behaviour))

    async def _run(self, behaviour: Behaviour) -> None:
        try:
            await behaviour.write(self._wire)
        except ConnectionResetError:
            return  # the sender disconnected: what most of these behaviours are for
        finally:
            self._transport.close()

    def pause_writing(self) -> None:
        self._wire.on_writable(writable=False)

    def resume_writing(self) -> None:
        self._wire.on_writable(writable=True)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 any end is an end
        self._receiver.closed(self)
        self._wire.on_gone()
        self.lost.set()

    async def end(self) -> None:
        """Abort the connection and its behaviour, and wait until both have ended."""
        self._transport.abort()
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self.lost.wait()
