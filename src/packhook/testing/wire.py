"""Give a behaviour access to one connection of a receiver."""

import asyncio
import socket
import struct
from typing import Final

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)  # SO_LINGER with no time left: closing sends RST


class Wire:
    """Write to a sender as fast as it reads, wait, close, reset."""

    __slots__ = ("_gone", "_transport", "_writable")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._gone = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()

    async def write(self, data: bytes) -> None:
        """Send, then wait until the buffer has room again. ConnectionResetError if the sender has disconnected."""
        if self._gone.is_set() or self._transport.is_closing():
            raise ConnectionResetError("the sender has disconnected")
        self._transport.write(data)
        await self._writable.wait()
        await asyncio.sleep(0)  # let other tasks run, even if the sender reads everything

    async def pause(self, milliseconds: float) -> None:
        """Wait, or return early if the sender disconnects."""
        try:
            async with asyncio.timeout(milliseconds / 1_000):
                await self._gone.wait()
        except TimeoutError:
            return

    async def gone(self) -> None:
        """Wait until the sender has disconnected."""
        await self._gone.wait()

    def reset(self) -> None:
        """Reset the TCP connection."""
        connection: socket.socket | None = self._transport.get_extra_info("socket")
        if connection is None or self._transport.is_closing():
            return  # closed already
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._transport.abort()

    def close(self) -> None:
        """Close the connection once everything written is sent."""
        self._transport.close()

    def on_writable(self, *, writable: bool) -> None:
        """Note whether the connection's buffer has room."""
        if writable:
            self._writable.set()
        else:
            self._writable.clear()

    def on_gone(self) -> None:
        """Note that the connection is closed."""
        self._gone.set()
        self._writable.set()
