"""Start the PostgreSQL of one run, its database on a disk of its own that can be full."""

import os
import shutil
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import asyncpg
from rich.console import Console

from benchmarks.postgres_server import PostgresServer
from support.mounts import ResizableDisk, resizable_disk

DISK_BYTES: Final = 256 * 1024 * 1024
BYTES_PER_EVENT: Final = 50_000
_DATABASE: Final = "chaos"


class StartedServer(NamedTuple):
    """Hold the server, the URL of its database, and that database's disk; None where none may be mounted."""

    server: PostgresServer
    url: str
    disk: ResizableDisk | None


async def start_server(stack: AsyncExitStack, folder: Path, events: int) -> StartedServer:
    """Start a server in the folder, with a disk that is large enough for so many events."""
    disk = _mount(stack, folder, DISK_BYTES + events * BYTES_PER_EVENT)
    server = PostgresServer(folder)
    await server.start()
    stack.push_async_callback(server.stop)
    return StartedServer(server, server.url if disk is None else await _create_database(server.url, disk), disk)


def _mount(stack: AsyncExitStack, folder: Path, size: int) -> ResizableDisk | None:
    place = folder / "disk"
    place.mkdir()
    try:
        return stack.enter_context(resizable_disk(place, size))
    except OSError as error:
        Console().print(f"SKIPPED: the disk full ({error.strerror}: only root may mount a disk)", style="bold")
        return None


async def _create_database(url: str, disk: ResizableDisk) -> str:
    """Create the database on the disk; return its URL."""
    place = disk.folder / "tablespace"
    place.mkdir()
    connection = await asyncpg.connect(url)
    try:
        owner = await connection.fetchval("SELECT setting FROM pg_settings WHERE name = 'data_directory'")
        found = os.stat(owner)  # noqa: PTH116 the server's user; nothing else runs
        shutil.chown(place, found.st_uid, found.st_gid)
        await connection.execute(f"CREATE TABLESPACE small LOCATION '{place}'")
        await connection.execute(f"CREATE DATABASE {_DATABASE} TABLESPACE small")
    finally:
        await connection.close()
    return urlsplit(url)._replace(path=f"/{_DATABASE}").geturl()
