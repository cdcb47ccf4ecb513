"""What the system counts of a TCP connection: whether an answer can be the answer to what was just sent."""

import select
import socket
import struct
import sys
from typing import Final

_COUNTS: Final = sys.platform == "linux"
_COUNTERS: Final = struct.Struct("=24xI92xQQ8xI")  # of Linux 4.6 and later (linux/tcp.h): four of them
_SIZE: Final = _COUNTERS.size
_unpack: Final = _COUNTERS.unpack
_TCP: Final = socket.IPPROTO_TCP
_TCP_INFO: Final = socket.TCP_INFO if sys.platform == "linux" else 0


def traffic_of(opened: socket.socket) -> "Traffic | None":
    """What was counted so far; None where the system does not count."""
    if not _COUNTS:
        return None
    counted = opened.getsockopt(_TCP, _TCP_INFO, _SIZE)
    if len(counted) < _SIZE:
        return None
    unacknowledged, acknowledged, received, unsent = _unpack(counted)
    if not (acknowledged and received):
        return None
    return Traffic(acknowledged, received, not (unacknowledged or unsent))


class Traffic:
    """One connection so far: bytes that the other side acknowledged, bytes received; whether all that was sent is."""

    __slots__ = ("acknowledged", "is_settled", "received")

    def __init__(self, acknowledged: int, received: int, is_settled: bool) -> None:
        self.acknowledged = acknowledged
        self.received = received
        self.is_settled = is_settled

    def has_answered(self, before: "Traffic") -> bool:
        """Whether what came since can answer what was sent since: TCP acknowledges a request with its answer."""
        return self.received > before.received and self.acknowledged > before.acknowledged


def is_readable(opened: socket.socket) -> bool:
    """Whether something, be it the end, waits to be read."""
    waiting = select.poll()
    waiting.register(opened, select.POLLIN)
    return bool(waiting.poll(0))


class Socket:
    """An open connection's socket. It is libcurl's: looked at, never closed."""

    __slots__ = ("_borrowed", "_waiting", "descriptor")

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._borrowed = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, descriptor)  # whatever its family is
        self._waiting = select.poll()
        self._waiting.register(descriptor, select.POLLIN)

    def is_bound_to(self, address: str, port: int) -> bool:
        """Whether this is its end on this side."""
        return bool(self._borrowed.getsockname()[:2] == (address, port))

    def is_readable(self) -> bool:
        """Whether something, be it the end, waits to be read."""
        return bool(self._waiting.poll(0))

    def traffic(self) -> Traffic | None:
        """None where the system does not count."""
        return traffic_of(self._borrowed)

    def forget(self) -> None:
        """Give the descriptor back to libcurl, which may have closed it long ago."""
        self._borrowed.detach()
