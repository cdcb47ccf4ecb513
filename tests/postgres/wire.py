"""Relay between a node and its server, and lose the answer to a statement, as a network may."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, urlsplit

_SOCKET = ".s.PGSQL.5432"
COMMIT = b"COMMIT\0"


class Relay:
    """Forward everything to the server of this URL, but lose the answer to messages that contain ``losing``.

    ``sparing``: how many such messages are forwarded as usual first. ``how``: the connection is cut after the message
    was executed (``done``), once it is forwarded (``cut``), or before (``never``, and ``late``: it is forwarded when
    ``late`` is set).
    """

    def __init__(self, url: str, server: Path) -> None:
        self.url = url
        self._server = server
        self._tasks: set[asyncio.Task[None]] = set()
        self.losing = b""
        self.sparing = 0
        self.how: Literal["done", "cut", "never", "late"] = "done"
        self.late = asyncio.Event()
        self.lost = self.passed_on = 0

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection of the node."""
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Cut all connections."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _must_be_lost(self, data: bytes) -> bool:
        if not self.losing or self.losing not in data:
            return False
        self.sparing -= 1
        self.lost += self.sparing < 0
        return self.sparing < 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection(str(self._server))
        back = asyncio.get_running_loop().create_task(_pass_on(far_reader, writer))
        try:
            while data := await reader.read(65_536):
                is_lost = self._must_be_lost(data)
                if is_lost:
                    back.cancel()
                    await asyncio.gather(back, return_exceptions=True)
                    if self.how == "never":
                        return
                    if self.how == "late":
                        writer.close()
                        await self.late.wait()
                self.passed_on += is_lost
                far_writer.write(data)
                await far_writer.drain()
                if is_lost:
                    if self.how != "cut":
                        await far_reader.read(1)  # it was executed
                    return
        finally:
            back.cancel()
            await asyncio.gather(back, return_exceptions=True)
            for item in (writer, far_writer):
                item.close()
                with suppress(OSError):
                    await item.wait_closed()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def relay(url: str, folder: Path) -> AsyncIterator[tuple[str, Relay]]:
    """Start a relay to the server of this URL; yield the URL through it, and the relay."""
    (directory,) = parse_qs(urlsplit(url).query)["host"]
    made = Relay(url, Path(directory) / _SOCKET)
    server = await asyncio.start_unix_server(made.serve, folder / _SOCKET)
    try:
        yield url.replace(directory, str(folder)), made
    finally:
        server.close()
        await made.close()
        await server.wait_closed()
