"""To one address, within a time."""

import asyncio
import socket


async def connect(opened: socket.socket, address: tuple[str, int], seconds: float) -> None:
    """Connect; TimeoutError where that takes longer, OSError where it fails. The socket is the caller's to close."""
    async with asyncio.timeout(seconds):
        await asyncio.get_running_loop().sock_connect(opened, address)
