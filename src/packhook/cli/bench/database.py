"""A fresh database for each scenario, and the processes that do its work where they are on this machine."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

import asyncpg

from packhook.cli.bench.meter import parent_of
from packhook.cli.exits import Exit, fail
from packhook.cli.prove.database import OwnPostgres

_SQLITE: Final = "sqlite:///"


class Databases(Protocol):
    """Gives each scenario a database of its own."""

    async def create(self, folder: Path) -> str:
        """The URL of a new one; ``folder`` is the scenario's, and goes with it."""
        ...

    async def drop(self, url: str) -> None:
        """Away with it."""
        ...

    def processes(self) -> list[int]:
        """The server's, as they are now; none where there is no server, or where it is not on this machine."""
        ...


class Files:
    """SQLite."""

    async def create(self, folder: Path) -> str:
        """A file in the scenario's folder."""
        return f"{_SQLITE}{folder / 'packhook.db'}"

    async def drop(self, url: str) -> None:
        """It goes with the folder."""

    def processes(self) -> list[int]:
        """The node does SQLite's work itself."""
        return []


class Server:
    """PostgreSQL; its URL names a database to connect to, in which nothing is changed."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._postmaster = 0

    async def open(self) -> None:
        """See whether it is there, and whether its processes can be counted."""
        connection = await self._connect()
        try:
            backend = int(await connection.fetchval("SELECT pg_backend_pid()"))
            if _is_postgres(backend):
                self._postmaster = parent_of(backend)
        finally:
            await connection.close()

    async def create(self, folder: Path) -> str:  # noqa: ARG002 a server has its own
        """A database beside the one that was named."""
        name = f"packhook_bench_{secrets.token_hex(4)}"
        await self._execute(f'CREATE DATABASE "{name}"')
        return urlsplit(self._url)._replace(path=f"/{name}").geturl()

    async def drop(self, url: str) -> None:
        """The database that ``create`` made."""
        await self._execute(f'DROP DATABASE "{urlsplit(url).path[1:]}" WITH (FORCE)')

    def processes(self) -> list[int]:
        """The postmaster and all it has started: backends, walwriter, checkpointer and so on."""
        if not self._postmaster:
            return []
        children = Path(f"/proc/{self._postmaster}/task/{self._postmaster}/children")
        try:
            return [self._postmaster, *map(int, children.read_text("utf-8").split())]
        except OSError:
            return []

    async def _connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        try:
            return await asyncpg.connect(self._url, timeout=10)
        except (OSError, asyncpg.PostgresError, ValueError) as error:
            fail(f"the database cannot be used: {error}", Exit.UNREACHABLE)

    async def _execute(self, statement: str) -> None:
        connection = await self._connect()
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


def _is_postgres(pid: int) -> bool:
    """Whether that process here is one: a server elsewhere has the same numbers."""
    try:
        return Path(f"/proc/{pid}/comm").read_text("utf-8").startswith("postgres")
    except OSError:
        return False


@asynccontextmanager
async def databases(url: str, folder: Path, *, postgres: bool) -> AsyncIterator[Databases]:
    """Of the server that ``url`` names, of a PostgreSQL of our own, or SQLite files, for as long as this lasts."""
    if not (url or postgres):
        yield Files()
        return
    own = OwnPostgres(folder) if postgres else None
    if own is not None:
        await own.start()
        url = own.url
    try:
        server = Server(url)
        await server.open()
        yield server
    finally:
        if own is not None:
            await own.stop()
