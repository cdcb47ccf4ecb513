"""Create a fresh database for each scenario, and find the server processes whose CPU counts."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

import asyncpg

from benchmarks.postgres_server import PostgresServer
from benchmarks.process_meter import parent_of
from packhook.cli.exits import Exit, fail

_SQLITE: Final = "sqlite:///"
WAL_BYTES: Final = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"


class Databases(Protocol):
    """Create and drop the databases of scenarios."""

    async def create(self, folder: Path) -> str:
        """Return the URL of a new database; ``folder`` belongs to the scenario and is deleted with it."""
        ...

    async def drop(self, url: str) -> None:
        """Delete a database that ``create`` made."""
        ...

    def processes(self) -> list[int]:
        """Return the ids of the server's processes; none where there is no server on this machine."""
        ...

    async def wal_bytes(self) -> int | None:
        """Return how many bytes of WAL a server has written so far; None without a server."""
        ...


class SqliteFiles:
    """Create SQLite files in the scenarios' folders."""

    async def create(self, folder: Path) -> str:
        """Return the URL of a file that does not exist yet."""
        return f"{_SQLITE}{folder / 'packhook.db'}"

    async def drop(self, url: str) -> None:
        """Do nothing: the file is deleted with its folder."""

    def processes(self) -> list[int]:
        """Return none: SQLite runs inside the node."""
        return []

    async def wal_bytes(self) -> int | None:
        """Return None."""
        return None


class PostgresDatabases:
    """Create databases on a PostgreSQL server. ``url`` names one to connect to; nothing in that is changed."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._postmaster = 0

    async def open(self) -> None:
        """Check that the server answers, and find its postmaster if it runs on this machine."""
        connection = await self._connect()
        try:
            backend = int(await connection.fetchval("SELECT pg_backend_pid()"))
            if _is_postgres(backend):
                self._postmaster = parent_of(backend)
        finally:
            await connection.close()

    async def create(self, folder: Path) -> str:  # noqa: ARG002 the server stores it elsewhere
        """Return the URL of a new database with a random name."""
        name = f"packhook_bench_{secrets.token_hex(4)}"
        await self._execute(f'CREATE DATABASE "{name}"')
        return urlsplit(self._url)._replace(path=f"/{name}").geturl()

    async def drop(self, url: str) -> None:
        """Drop the database, with its connections."""
        await self._execute(f'DROP DATABASE "{urlsplit(url).path[1:]}" WITH (FORCE)')

    def processes(self) -> list[int]:
        """Return the postmaster and its children: backends, walwriter, checkpointer and the others."""
        if not self._postmaster:
            return []
        children = Path(f"/proc/{self._postmaster}/task/{self._postmaster}/children")
        try:
            return [self._postmaster, *map(int, children.read_text("utf-8").split())]
        except OSError:
            return []

    async def wal_bytes(self) -> int | None:
        """Return how many bytes of WAL the server has written so far, for all its databases."""
        connection = await self._connect()
        try:
            return int(await connection.fetchval(WAL_BYTES))
        finally:
            await connection.close()

    async def _connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        try:
            return await asyncpg.connect(self._url, timeout=10)
        except (OSError, asyncpg.PostgresError, ValueError) as error:
            fail(f"cannot connect to the database: {error}", Exit.UNREACHABLE)

    async def _execute(self, statement: str) -> None:
        connection = await self._connect()
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


def _is_postgres(pid: int) -> bool:
    """Tell whether this process is a PostgreSQL: the process ids of a remote server mean nothing here."""
    try:
        return Path(f"/proc/{pid}/comm").read_text("utf-8").startswith("postgres")
    except OSError:
        return False


@asynccontextmanager
async def databases(url: str, folder: Path, *, postgres: bool) -> AsyncIterator[Databases]:
    """Yield the databases of the server at ``url``, of a PostgreSQL started for this run, or SQLite files."""
    if not (url or postgres):
        yield SqliteFiles()
        return
    server = PostgresServer(folder) if postgres else None
    if server is not None:
        await server.start()
        url = server.url
    try:
        on_server = PostgresDatabases(url)
        await on_server.open()
        yield on_server
    finally:
        if server is not None:
            await server.stop()
