"""Read and write one non-blocking TCP socket, driven by a selector that the event loop watches.

::

    event loop ─ one descriptor ─▶ Poller ─ all sockets that are ready, in one call ─▶ TcpStream ─▶ its owner

Not a transport of the event loop, for two reasons. A receiver may respond, close, and reset the connection while the
request is still being written: what it said must be read after the write has failed, and transports drop that. And a
call of the event loop for all ready sockets together takes less time than one for each.

The kernel's counters of a connection (:class:`TcpInfo`) tell a response from bytes that no request asked for.
"""

import asyncio
import errno
import select
import selectors
import socket
import struct
import sys
from collections import deque
from collections.abc import Iterator
from typing import Final, Protocol

import structlog
from msgspec import Struct

READ_SIZE: Final = 16 * 1024
STREAMS_PER_TURN: Final = 32
_READ: Final = selectors.EVENT_READ
_WRITE: Final = selectors.EVENT_WRITE
_NOTHING: Final[Iterator[bytes]] = iter(())

_IS_LINUX: Final = sys.platform == "linux"
_FIELDS: Final = struct.Struct("=24xI92xQQ8xI")  # tcpi_unacked, _bytes_acked, _bytes_received, _notsent_bytes
_SIZE: Final = _FIELDS.size
_TCP: Final = socket.IPPROTO_TCP
_TCP_INFO: Final = socket.TCP_INFO if sys.platform == "linux" else 0
_log: Final = structlog.get_logger("packhook.send")


class Poller:
    """Watch sockets with a selector of our own, of which the event loop watches the descriptor."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._selector = selectors.DefaultSelector()
        self._ready: deque[tuple[TcpStream, int]] = deque()
        loop.add_reader(self._selector.fileno(), self._dispatch)

    def watch(self, stream: "TcpStream", events: int) -> None:
        """Tell this stream of these events."""
        self._selector.register(stream.socket, events, stream)

    def change(self, stream: "TcpStream", events: int) -> None:
        """Tell it of these instead."""
        self._selector.modify(stream.socket, events, stream)

    def forget(self, stream: "TcpStream") -> None:
        """Tell it of nothing more; before its socket is closed."""
        self._selector.unregister(stream.socket)

    def close(self) -> None:
        """Stop watching."""
        self._loop.remove_reader(self._selector.fileno())
        self._selector.close()

    def _dispatch(self) -> None:
        """Serve the streams that are ready, a few in this turn of the event loop: the descriptor stays readable."""
        ready = self._ready
        if not ready:
            ready.extend([(key.data, events) for key, events in self._selector.select(0)])
        for _ in range(min(len(ready), STREAMS_PER_TURN)):
            stream, events = ready.popleft()
            stream.on_ready(events)


class StreamOwner(Protocol):
    """Receive the events of a stream. ``lost`` is the last one."""

    def connected(self, error: int) -> None:
        """Handle the end of connecting; ``error``: 0, or the system's error number."""
        ...

    def received(self, data: bytes) -> None:
        """Handle data from the peer."""
        ...

    def lost(self, error: OSError | None) -> None:
        """Handle the end of the stream; ``error``: the cause, None if the peer closed its side properly."""
        ...

    def crashed(self) -> None:
        """Handle an exception that one of these methods raised."""
        ...


class TcpStream:
    """Connect a socket, then send and receive over it. ``bytes_read`` counts what came."""

    __slots__ = (
        "_events",
        "_is_connecting",
        "_more",
        "_owner",
        "_poller",
        "_unsent",
        "_write_error",
        "bytes_read",
        "socket",
    )

    def __init__(self, poller: Poller, opened: socket.socket, owner: StreamOwner) -> None:
        self._poller = poller
        self._owner: StreamOwner | None = owner
        self._unsent: bytes | memoryview = b""
        self._more: Iterator[bytes] = _NOTHING
        self._write_error: OSError | None = None
        self._is_connecting = False
        self._events = 0
        self.bytes_read = 0
        self.socket = opened
        opened.setblocking(False)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def is_connecting(self) -> bool:
        """Return whether the connection is still being made."""
        return self._is_connecting

    @property
    def has_unsent(self) -> bool:
        """Return whether something is yet to be sent, or could not be sent."""
        return bool(self._unsent) or self._write_error is not None

    def connect(self, address: str, port: int) -> int:
        """Begin to connect; ``connected`` follows. Return 0, or the error number of a failure at once."""
        error = self.socket.connect_ex((address, port))
        if error not in (0, errno.EINPROGRESS):
            return error
        self._is_connecting = True
        self._watch(_WRITE)
        return 0

    def send(self, data: bytes | memoryview, more: Iterator[bytes] = _NOTHING) -> None:
        """Send ``data``, then each piece of ``more``, which is made when there is room for it.

        A failure is not reported here: what the peer sent before it is still received, then ``lost`` has the error.
        """
        self._unsent, self._more = bytes(self._unsent) + data if self._unsent else data, more
        self._flush()

    def acknowledge_at_once(self) -> None:
        """Set TCP_QUICKACK: acknowledge data at once, without waiting for data to send with it.

        For a peer that may respond early and close with data unread: that resets the connection and drops what its
        system has not sent. By Nagle's algorithm that is its response, until the TLS session tickets before are
        acknowledged (measured: 12 to 20 % of such responses were lost, and 0.3 to 3.5 % with this).
        """
        if sys.platform == "linux":
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def close(self) -> None:
        """Close the socket at once; the owner hears nothing more."""
        if self._owner is None:
            return
        self._owner = None
        self._unsent, self._more = b"", _NOTHING
        if self._events:
            self._poller.forget(self)
        self.socket.close()

    def on_ready(self, events: int) -> None:
        """Do what the socket is ready for."""
        owner = self._owner
        if owner is None:
            return  # closed by a stream that was ready at the same time
        try:
            if self._is_connecting:
                self._finish_connecting(owner)
                return
            if events & _WRITE and self._unsent:
                self._flush()
            if events & _READ:
                self._receive(owner)
        except Exception:  # noqa: BLE001 a fault in one exchange may not end the others
            _log.exception("send_failed")
            owner.crashed()

    def _finish_connecting(self, owner: StreamOwner) -> None:
        error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        self._is_connecting = False
        if not error:
            self._watch(_READ)
        owner.connected(error)

    def _receive(self, owner: StreamOwner) -> None:
        try:
            data = self.socket.recv(READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            owner.lost(error)
            return
        if data:
            self.bytes_read += len(data)
            owner.received(data)
        else:
            owner.lost(self._write_error)

    def _flush(self) -> None:
        try:
            while self._unsent:
                sent = self.socket.send(self._unsent)
                if sent == len(self._unsent):
                    self._unsent = next(self._more, b"")
                else:
                    self._unsent = memoryview(self._unsent)[sent:]
        except (BlockingIOError, InterruptedError):
            self._watch(_READ | _WRITE)
            return
        except OSError as error:
            self._write_error = error
            self._unsent, self._more = b"", _NOTHING
        if self._events != _READ:
            self._watch(_READ)

    def _watch(self, events: int) -> None:
        if not self._events:
            self._poller.watch(self, events)
        elif events != self._events:
            self._poller.change(self, events)
        self._events = events


class TcpInfo(Struct, frozen=True, gc=False):
    """Hold one reading: bytes that the peer acknowledged, bytes received, and whether nothing sent is unacknowledged.

    A received FIN counts as one byte.
    """

    acknowledged: int
    received: int
    is_settled: bool

    def acked_and_received_since(self, earlier: "TcpInfo") -> bool:
        """Return whether the peer acknowledged data and sent data since ``earlier``.

        A response acknowledges its request. Bytes that were under way before the request arrived do not.
        """
        return self.received > earlier.received and self.acknowledged > earlier.acknowledged


def read_tcp_info(connected: socket.socket) -> TcpInfo | None:
    """Return the counters, or None where the system has none (not Linux, or older than 4.6)."""
    if not _IS_LINUX:
        return None
    counters = connected.getsockopt(_TCP, _TCP_INFO, _SIZE)
    if len(counters) < _SIZE:
        return None
    unacknowledged, acknowledged, received, unsent = _FIELDS.unpack(counters)
    if not (acknowledged and received):
        return None
    return TcpInfo(acknowledged, received, not (unacknowledged or unsent))


def is_readable(connected: socket.socket) -> bool:
    """Return whether data, or the end of the stream, waits to be read."""
    poll = select.poll()
    poll.register(connected, select.POLLIN)
    return bool(poll.poll(0))
