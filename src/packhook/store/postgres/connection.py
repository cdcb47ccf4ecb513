"""Connect to the server: the pools, their settings and time limits, and what errors mean."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import Any, Final

import asyncpg

from packhook.core.errors import InvalidSettings, RowRefused, Unavailable
from packhook.store.config import DEFAULT, StoreConfig
from packhook.store.postgres.queries import SQL, Backend, CommitOutcomeUnknown, Db
from packhook.store.postgres.url import EXPECTED, ServerAddress, parse
from packhook.telemetry.counts import StoreCounts

ACQUIRE_SECONDS: Final = 10.0
COMMAND_SECONDS: Final = 20.0
RELEASE_SECONDS: Final = 5.0

# Whatever the server, the database or the role has as its default, a session of packhook has these. They are set after
# connecting: PgBouncer refuses most settings at the start of a connection.
_SESSION: Final[Mapping[str, str]] = {
    "application_name": "packhook",
    "search_path": "packhook",
    "synchronous_commit": "on",  # a COMMIT returns when it is on disk
    "standard_conforming_strings": "on",
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "bytea_output": "hex",
    "default_transaction_isolation": "read committed",  # claiming relies on it
    "default_transaction_deferrable": "off",
    "row_security": "on",
    "idle_session_timeout": "0",
}

# Every statement here is short and made for an index. Statistics of tables that fill and empty within a minute are
# always old, so the planner gets no choice. Nor does it plan again for each small batch, which costs more than the rows
# do.
SETTINGS: Final[Mapping[str, str]] = {
    **_SESSION,
    "statement_timeout": "15s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "10s",
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
    "enable_indexscan": "on",
    "enable_indexonlyscan": "on",
    "enable_nestloop": "on",
    "enable_sort": "on",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
READ_ONLY: Final[Mapping[str, str]] = {
    **SETTINGS,
    "plan_cache_mode": "auto",  # lists have many filters
    "enable_sort": "off",  # a page is read in the order of an index: an estimate may say few rows where there are many
    "default_transaction_read_only": "on",
}
MIGRATING: Final[Mapping[str, str]] = {
    **_SESSION,
    "application_name": "packhook-migrate",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}


_OF_A_ROW: Final = (
    asyncpg.exceptions.IntegrityConstraintViolationError,
    asyncpg.exceptions.ProgramLimitExceededError,
    asyncpg.exceptions.PLPGSQLError,
)


@contextmanager
def database_errors() -> Iterator[None]:
    """Raise Unavailable for whatever goes wrong with the database: away, full, slow, read-only, shut down.

    Raise RowRefused, a kind of Unavailable, if the database rejects the row itself: a repetition fails too. A value
    that no column can hold is a bug of packhook; its error passes through.
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
    """Return a connection that is not shared. Raises InvalidSettings for a URL that is not right, and Unavailable."""
    server = parse(url)
    with _connection_errors(server):
        connection = await asyncpg.connect(server.url, timeout=server.connect_seconds, command_timeout=COMMAND_SECONDS)
        try:
            await _set_session(connection, settings, server)
        except BaseException:
            connection.terminate()
            raise
        return connection


@contextmanager
def _connection_errors(server: ServerAddress) -> Iterator[None]:
    """Raise InvalidSettings where the URL is not right, Unavailable with the server's name where it does not answer."""
    try:
        yield
    except asyncpg.exceptions.ClientConfigurationError as error:
        raise InvalidSettings(f"{EXPECTED}: {error}") from None
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, EOFError) as error:
        raise Unavailable(f"cannot connect to PostgreSQL at {server.name}: {_reason(error)}") from error
    except ValueError:
        raise InvalidSettings(f"{EXPECTED}: the URL cannot be read, encode special characters as %XX") from None


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no connection in time"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return f"{type(error).__name__}: {error}"


async def _set_session(
    connection: "asyncpg.Connection[Any]", settings: Mapping[str, str], server: ServerAddress
) -> None:
    """Set every setting that packhook depends on, in one round trip."""
    if server.application_name is not None:
        settings = {**settings, "application_name": server.application_name}
    statements = [f"SET {name} = {_literals(value, name)}" for name, value in settings.items()]
    await connection.execute(";".join((SQL["override_defaults"], *statements)))


def _literals(value: str, name: str) -> str:
    """Return the value of a setting in SQL, right whatever ``standard_conforming_strings`` is by now."""
    parts = value.split(", ") if name == "DateStyle" else [value]
    return ", ".join("E'" + part.replace("\\", "\\\\").replace("'", "''") + "'" for part in parts)


class _Connection(asyncpg.Connection):
    """Remember the server process, so that another connection can find out the fate of its last statement."""

    __slots__ = ("backend",)

    backend: Backend | None


class Pool:
    """Keep a limited number of connections, made when they are needed. A broken one is replaced when it is needed.

    A connection that is released stays idle here for the next user: to acquire one from asyncpg's pool costs more than
    a statement.
    """

    def __init__(
        self, pool: "asyncpg.Pool[Any]", server: ServerAddress, config: StoreConfig, counts: StoreCounts
    ) -> None:
        self._pool = pool
        self._counts = counts
        self._server = server
        self._config = config
        self._idle: list[Any] = []
        self._waiting = 0
        self._is_closing = False

    @classmethod
    async def open(
        cls,
        url: str,
        settings: Mapping[str, str],
        max_size: int,
        config: StoreConfig = DEFAULT,
        counts: StoreCounts | None = None,
    ) -> "Pool":
        """Return a pool with one connection. Raises Unavailable where none can be made."""
        server = parse(url)
        with _connection_errors(server):
            return cls(
                await asyncpg.create_pool(
                    server.url,
                    min_size=1,
                    max_size=max_size,
                    timeout=server.connect_seconds,
                    command_timeout=COMMAND_SECONDS,
                    connection_class=_Connection,
                    init=partial(_on_connect, settings=settings, server=server),
                    reset=_noop_reset,
                ),
                server,
                config,
                counts or StoreCounts(),
            )

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Db]:
        """Acquire a connection. Raises Unavailable where none is free or can be made in time."""
        try:
            connection = await self._take()
        except Unavailable:
            self._counts.errors += 1
            raise
        try:
            with database_errors():
                yield Db(connection, connection.backend, self._config)
        except BaseException as error:
            self._counts.errors += isinstance(error, (Unavailable, CommitOutcomeUnknown))
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
            with _connection_errors(self._server):
                return await self._pool.acquire(timeout=ACQUIRE_SECONDS)
        finally:
            self._waiting -= 1

    async def _release(self, connection: Any) -> None:  # noqa: ANN401 as above
        """Give it back to asyncpg's pool, which rolls back what is open, and passes it to the next caller."""
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await self._pool.release(connection, timeout=RELEASE_SECONDS)

    @property
    def size(self) -> int:
        """Return how many connections are open."""
        return self._pool.get_size()

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


async def _on_connect(
    connection: "asyncpg.Connection[Any]", settings: Mapping[str, str], server: ServerAddress
) -> None:
    """Set the session's settings, and remember the server process."""
    await _set_session(connection, settings, server)
    if isinstance(connection, _Connection):
        row = await connection.fetchrow(SQL["get_backend"])
        connection.backend = None if row is None else (row[0], row[1])


async def _noop_reset(connection: object) -> None:
    """Do nothing: no session state is ever changed, so a round trip is saved."""
