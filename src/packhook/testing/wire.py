"""One connection of a receiver, as a behaviour sees it."""

import asyncio
import socket
import struct
from typing import Final

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)  # SO_LINGER with no time left: closing sends RST


class Wire:
    """What a behaviour can do to the sender: write at the pace it reads, wait, hang up, reset."""

    __slots__ = ("_gone", "_transport", "_writable")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._gone = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()

    async def write(self, data: bytes) -> None:
        """Send, then wait until the other side has room again. ConnectionResetError once it is gone."""
        if self._gone.is_set() or self._transport.is_closing():
            raise ConnectionResetError("the sender is gone")
        self._transport.write(data)
        await self._writable.wait()
        await asyncio.sleep(0)  # even a sender that reads everything lets others have their turn

    async def pause(self, milliseconds: float) -> None:
        """Wait, or less if the other side goes."""
        try:
            async with asyncio.timeout(milliseconds / 1_000):
                await self._gone.wait()
        except TimeoutError:
            return

    async def gone(self) -> None:
        """Wait until the other side has gone."""
        await self._gone.wait()

    def reset(self) -> None:
        """Break the connection off with a TCP reset."""
        connection: socket.socket | None = self._transport.get_extra_info("socket")
        if connection is None or self._transport.is_closing():
            return  # it is gone already
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._transport.abort()

    def close(self) -> None:
        """Close the connection once everything written is sent."""
        self._transport.close()

    def on_writable(self, *, writable: bool) -> None:
        """The connection says whether its buffer has room."""
        if writable:
            self._writable.set()
        else:
            self._writable.clear()

    def on_gone(self) -> None:
        """The connection says that it is over."""
        self._gone.set()
        self._writable.set()
