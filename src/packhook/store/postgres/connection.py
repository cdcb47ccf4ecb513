"""Connect to the server: the pools, their settings and time limits, and what errors mean."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final

import asyncpg

from packhook.core.errors import InvalidSettings, RowRefused, Unavailable
from packhook.store.config import DEFAULT, StoreConfig
from packhook.store.postgres.queries import SQL, Backend, Db

CONNECT_SECONDS: Final = 5.0
ACQUIRE_SECONDS: Final = 10.0
COMMAND_SECONDS: Final = 20.0
RELEASE_SECONDS: Final = 5.0

# Every statement here is short and made for an index. Statistics of tables that fill and empty within a minute are
# always old, so the planner gets no choice. Nor does it plan again for each small batch, which costs more than the rows
# do. Claiming relies on "read committed".
SETTINGS: Final[Mapping[str, str]] = {
    "application_name": "packhook",
    "search_path": "packhook",
    "default_transaction_isolation": "read committed",
    "statement_timeout": "15s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "10s",
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
READ_ONLY: Final[Mapping[str, str]] = {
    **SETTINGS,
    "plan_cache_mode": "auto",  # lists have many filters
    "default_transaction_read_only": "on",
}
MIGRATING: Final[Mapping[str, str]] = {"application_name": "packhook-migrate"}


_OF_A_ROW: Final = (
    asyncpg.exceptions.IntegrityConstraintViolationError,
    asyncpg.exceptions.ProgramLimitExceededError,
    asyncpg.exceptions.PLPGSQLError,
)


@contextmanager
def database_errors() -> Iterator[None]:
    """Raise Unavailable for whatever goes wrong with the database: away, full, slow, read-only, shut down.

    RowRefused, which is one, where it is because of what was to be written: the same row will fail again. Not for a
    value that no column can hold, which is a fault of ours.
    """
    try:
        yield
    except (asyncpg.DataError, ValueError):
        raise
    except _OF_A_ROW as error:
        raise RowRefused(f"the database refused a row: {type(error).__name__}: {error}") from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, EOFError) as error:
        raise Unavailable(f"the database failed: {type(error).__name__}: {error}") from error


async def connect(url: str, settings: Mapping[str, str]) -> "asyncpg.Connection[Any]":
    """Return a connection that is not shared. Raises InvalidSettings for a malformed URL, and Unavailable."""
    try:
        with database_errors():
            return await asyncpg.connect(
                url, timeout=CONNECT_SECONDS, command_timeout=COMMAND_SECONDS, server_settings=dict(settings)
            )
    except ValueError as error:
        raise InvalidSettings(f"database: expected postgresql://USER@HOST:PORT/NAME: {error}") from None


class _Connection(asyncpg.Connection):
    """Remember the server process, so that another connection can find out the fate of its last statement."""

    __slots__ = ("backend",)

    backend: Backend | None


class Pool:
    """Keep a limited number of connections, made when they are needed. A broken one is replaced when it is needed.

    A connection that is released stays idle here for the next user: to acquire one from asyncpg's pool costs more than
    a statement.
    """

    def __init__(self, pool: "asyncpg.Pool[Any]", config: StoreConfig = DEFAULT) -> None:
        self._pool = pool
        self._config = config
        self._idle: list[Any] = []
        self._waiting = 0
        self._is_closing = False

    @classmethod
    async def open(cls, url: str, settings: Mapping[str, str], max_size: int, config: StoreConfig = DEFAULT) -> "Pool":
        """Return a pool with one connection. Raises Unavailable where none can be made."""
        with database_errors():
            return cls(
                await asyncpg.create_pool(
                    url,
                    min_size=1,
                    max_size=max_size,
                    timeout=CONNECT_SECONDS,
                    command_timeout=COMMAND_SECONDS,
                    server_settings=dict(settings),
                    connection_class=_Connection,
                    init=_on_connect,
                    reset=_noop_reset,
                ),
                config,
            )

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Db]:
        """Acquire a connection. Raises Unavailable where none is free or can be made in time."""
        connection = await self._take()
        try:
            with database_errors():
                yield Db(connection, connection.backend, self._config)
        except BaseException:
            await self._release(connection)
            raise
        if self._waiting or self._is_closing:
            await self._release(connection)
        else:
            self._idle.append(connection)

    async def _take(self) -> Any:  # noqa: ANN401 our connection, in a proxy of the pool
        while self._idle:
            connection = self._idle.pop()
            if not _is_lost(connection):
                return connection
            await self._release(connection)
        self._waiting += 1
        try:
            with database_errors():
                return await self._pool.acquire(timeout=ACQUIRE_SECONDS)
        finally:
            self._waiting -= 1

    async def _release(self, connection: Any) -> None:  # noqa: ANN401 as above
        """Give it back to asyncpg's pool, which rolls back what is open, and passes it to whoever waits."""
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await self._pool.release(connection, timeout=RELEASE_SECONDS)

    async def close(self) -> None:
        """Wait for acquired connections, for a limited time, then disconnect."""
        self._is_closing = True
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                while self._idle:
                    await self._release(self._idle.pop())
                await self._pool.close()
        except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            self._pool.terminate()


def _is_lost(connection: Any) -> bool:  # noqa: ANN401 as above
    """Return whether it is closed, or the pool took it back because it was."""
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:
        return True


async def _on_connect(connection: "asyncpg.Connection[Any]") -> None:
    """Remember the server process, and have every commit on disk before it is answered."""
    if isinstance(connection, _Connection):
        row = await connection.fetchrow(SQL["get_backend"])
        connection.backend = None if row is None else (row[0], row[1])
    if await connection.fetchval("SHOW synchronous_commit") == "off":
        await connection.execute("SET synchronous_commit = on")


async def _noop_reset(connection: object) -> None:
    """Do nothing: no session state is ever changed, so a round trip is saved."""
