"""Run a real HTTP proxy on loopback that opens tunnels, records CONNECT requests, and misbehaves on demand.

::

    CONNECT ─▶ Asked, recorded ─┬─▶ the next queued behaviour
                                ├─▶ 407, without credentials
                                └─▶ a connection to the target ─▶ bytes both ways until either end disconnects
"""

import asyncio
import base64
from collections import deque
from collections.abc import Callable
from typing import Self, cast

from packhook.testing.behaviours import Behaviour, Status
from packhook.testing.wire import Wire

Leads = Callable[[str, int], tuple[str, int]]


class Asked:
    """Hold one CONNECT request: ``to`` is its target, ``HOST:PORT``; ``headers`` have lower-case names."""

    __slots__ = ("headers", "method", "to")

    def __init__(self, head: bytes) -> None:
        first, *rest = head.decode("latin-1").split("\r\n")
        self.method, self.to, _ = (*first.split(" "), "", "")[:3]
        pairs = (line.partition(":") for line in rest if line)
        self.headers = {name.lower(): value.strip() for name, _, value in pairs}

    def __repr__(self) -> str:
        return f"<{self.method} {self.to}>"


class ConnectProxy:
    """Run an HTTP proxy for the duration of an ``async with``.

    ``leads`` maps the requested host and port to those that are connected to. With ``credentials``, ``USER:PASSWORD``,
    a request without them is answered 407. ``hostname`` is the name in ``url`` and changes nothing else.
    """

    def __init__(self, leads: Leads | None = None, *, credentials: str = "", hostname: str = "127.0.0.1") -> None:
        self.asked: list[Asked] = []
        self.port = 0
        self.connections_made = 0
        self._leads = leads
        self._required = f"Basic {base64.b64encode(credentials.encode()).decode()}" if credentials else ""
        self._hostname = hostname
        self._queued: deque[Behaviour] = deque()
        self._ends: set[_End] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Return the proxy's URL without credentials: ``http://127.0.0.1:PORT``."""
        return f"http://{self._hostname}:{self.port}"

    def answers(self, *behaviours: Behaviour) -> None:
        """Queue behaviours for the next CONNECT requests, one each, instead of a tunnel."""
        self._queued.extend(behaviours)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.get_running_loop().create_server(lambda: _Client(self), "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None  # noqa: S101 it was entered
        self._server.close()
        for end in list(self._ends):
            end.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, *(end.lost.wait() for end in self._ends), return_exceptions=True)
        await self._server.wait_closed()

    def opened(self, end: "_End") -> None:
        """Register a connection from a client or to a target."""
        self._ends.add(end)

    def closed(self, end: "_End") -> None:
        """Unregister a connection."""
        self._ends.discard(end)

    def take(self, client: "_Client", head: bytes) -> None:
        """Record a request and answer it."""
        asked = Asked(head)
        self.asked.append(asked)
        task = asyncio.get_running_loop().create_task(self._answer(client, asked))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, client: "_Client", asked: Asked) -> None:
        if self._queued:
            await self._misbehave(client, self._queued.popleft())
        elif asked.method != "CONNECT":
            await self._misbehave(client, Status(405, close=True))
        elif self._required and asked.headers.get("proxy-authorization") != self._required:
            await self._misbehave(client, Status(407, {"proxy-authenticate": 'Basic realm="test"'}, close=True))
        else:
            await self._tunnel(client, asked)

    async def _misbehave(self, client: "_Client", behaviour: Behaviour) -> None:
        try:
            await behaviour.write(client.wire)
        except ConnectionResetError:
            return  # the sender disconnected
        finally:
            client.transport.close()

    async def _tunnel(self, client: "_Client", asked: Asked) -> None:
        host, _, port = asked.to.rpartition(":")
        target = (host.strip("[]"), int(port))
        try:
            remote = _End(self)
            await asyncio.get_running_loop().create_connection(
                lambda: remote, *(target if self._leads is None else self._leads(*target))
            )
        except OSError:
            await self._misbehave(client, Status(502, close=True))
            return
        client.other, remote.other = remote, client
        client.transport.write(b"HTTP/1.1 200 Connection established\r\n\r\n")


class _End(asyncio.Protocol):
    """Forward what one end of a tunnel receives to the other end, as fast as that end reads."""

    def __init__(self, proxy: ConnectProxy) -> None:
        self._proxy = proxy
        self.other: _End | None = None
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's have the methods, not the class
        self._proxy.opened(self)

    def data_received(self, data: bytes) -> None:
        if self.other is not None and not self.other.transport.is_closing():
            self.other.transport.write(data)

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and not self.other.transport.is_closing():
            self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 any end is an end
        self._proxy.closed(self)
        self.lost.set()
        if self.other is not None:
            self.other.transport.close()


class _Client(_End):
    """Read the CONNECT request of a client, then forward."""

    def __init__(self, proxy: ConnectProxy) -> None:
        super().__init__(proxy)
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.wire = Wire(self.transport)
        self._proxy.connections_made += 1

    def data_received(self, data: bytes) -> None:
        if self.other is not None:
            super().data_received(data)
            return
        is_partial = b"\r\n\r\n" not in self._head
        self._head += data
        if is_partial and b"\r\n\r\n" in self._head:
            self._proxy.take(self, self._head.partition(b"\r\n\r\n")[0])

    def pause_writing(self) -> None:
        self.wire.on_writable(writable=False)
        super().pause_writing()

    def resume_writing(self) -> None:
        self.wire.on_writable(writable=True)
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.wire.on_gone()
