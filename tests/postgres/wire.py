"""Between a node and its server: a relay that can lose the answer to what was said, as a network may."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

_SOCKET = ".s.PGSQL.5432"
COMMIT = b"COMMIT\0"


class Relay:
    """Passes everything on. What has ``losing`` in it is passed on and answered by nobody: the connection is cut.

    ``late``: it is cut at once, and passed on only when that is set. ``dropping``: it is cut, and never passed on.
    """

    def __init__(self, server: Path) -> None:
        self._server = server
        self._tasks: set[asyncio.Task[None]] = set()
        self.losing = b""
        self.late: asyncio.Event | None = None
        self.dropping = False
        self.lost = 0

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of the node."""
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Cut all connections."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection(str(self._server))
        back = asyncio.get_running_loop().create_task(_pass_on(far_reader, writer))
        try:
            while data := await reader.read(65_536):
                is_lost = bool(self.losing) and self.losing in data
                if is_lost:
                    self.lost += 1
                    back.cancel()
                    await asyncio.gather(back, return_exceptions=True)
                if is_lost and self.dropping:
                    return
                if is_lost and self.late is not None:
                    writer.close()
                    await self.late.wait()
                far_writer.write(data)
                await far_writer.drain()
                if is_lost:
                    await far_reader.read(1)  # it was done
                    return
        finally:
            back.cancel()
            await asyncio.gather(back, return_exceptions=True)
            for each in (writer, far_writer):
                each.close()
                with suppress(OSError):
                    await each.wait_closed()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def relay(url: str, folder: Path) -> AsyncIterator[tuple[str, Relay]]:
    """A relay to the server of this URL, and the URL through it."""
    (directory,) = parse_qs(urlsplit(url).query)["host"]
    made = Relay(Path(directory) / _SOCKET)
    server = await asyncio.start_unix_server(made.serve, folder / _SOCKET)
    try:
        yield url.replace(directory, str(folder)), made
    finally:
        server.close()
        await made.close()
        await server.wait_closed()
