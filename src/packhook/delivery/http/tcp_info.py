"""Read the kernel's counters of a TCP connection, to tell a response from bytes that no request asked for."""

import select
import socket
import struct
import sys
from typing import Final

from msgspec import Struct

_IS_LINUX: Final = sys.platform == "linux"
_FIELDS: Final = struct.Struct("=24xI92xQQ8xI")  # tcpi_unacked, _bytes_acked, _bytes_received, _notsent_bytes
_SIZE: Final = _FIELDS.size
_TCP: Final = socket.IPPROTO_TCP
_TCP_INFO: Final = socket.TCP_INFO if sys.platform == "linux" else 0


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
