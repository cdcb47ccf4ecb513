"""The pools: what a connection is set to, how long it may take, and what its errors mean."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final

import asyncpg

from packhook.core.errors import InvalidSettings, Unavailable
from packhook.store.postgres.asking import SQL, Backend, Db

CONNECT_SECONDS: Final = 5.0
ACQUIRE_SECONDS: Final = 10.0
COMMAND_SECONDS: Final = 20.0
RELEASE_SECONDS: Final = 5.0

# Every statement here is short and knows its index. What the planner knows of tables that fill and empty within a
# minute is always old, so it is not left a choice, nor asked again for each batch of a few rows, which cost more than
# the rows; "read committed" is what the claims' reasoning stands on.
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
    "plan_cache_mode": "auto",  # people ask for lists in many ways
    "default_transaction_read_only": "on",
}
MIGRATING: Final[Mapping[str, str]] = {"application_name": "packhook-migrate"}


@contextmanager
def database_errors() -> Iterator[None]:
    """Whatever goes wrong with the database is Unavailable to the world: away, full, slow, read-only, shut down.

    Not so a value that no column can hold, which is a fault of ours.
    """
    try:
        yield
    except (asyncpg.DataError, ValueError):
        raise
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, EOFError) as error:
        raise Unavailable(f"the database did not do it: {type(error).__name__}: {error}") from error


async def connect(url: str, settings: Mapping[str, str]) -> "asyncpg.Connection[Any]":
    """One connection that nobody shares. InvalidSettings where the URL is none, Unavailable where nobody answers."""
    try:
        with database_errors():
            return await asyncpg.connect(
                url, timeout=CONNECT_SECONDS, command_timeout=COMMAND_SECONDS, server_settings=dict(settings)
            )
    except ValueError as error:
        raise InvalidSettings(f"database: expected postgresql://USER@HOST:PORT/NAME: {error}") from None


class _Connection(asyncpg.Connection):
    """It knows whom it talks to, so that another one can be asked what became of its last words."""

    __slots__ = ("backend",)

    backend: Backend | None


class Pool:
    """At most so many connections, made when they are needed. One that broke is replaced when it is next needed.

    A connection that did well stays at hand for who comes next: to take one out of the pool and put it back costs more
    than a statement.
    """

    def __init__(self, pool: "asyncpg.Pool[Any]") -> None:
        self._pool = pool
        self._at_hand: list[Any] = []
        self._asking = 0
        self._is_closing = False

    @classmethod
    async def open(cls, url: str, settings: Mapping[str, str], most: int) -> "Pool":
        """A pool with one connection that works; Unavailable where there is none to be had."""
        with database_errors():
            return cls(
                await asyncpg.create_pool(
                    url,
                    min_size=1,
                    max_size=most,
                    timeout=CONNECT_SECONDS,
                    command_timeout=COMMAND_SECONDS,
                    server_settings=dict(settings),
                    connection_class=_Connection,
                    init=_get_to_know,
                    reset=_leave_as_it_is,
                )
            )

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[Db]:
        """A connection for a while; Unavailable where none is free or can be made in time."""
        connection = await self._take()
        try:
            with database_errors():
                yield Db(connection, connection.backend)
        except BaseException:
            await self._put_back(connection)
            raise
        if self._asking or self._is_closing:
            await self._put_back(connection)
        else:
            self._at_hand.append(connection)

    async def _take(self) -> Any:  # noqa: ANN401 a connection of ours, in the pool's wrapping
        while self._at_hand:
            connection = self._at_hand.pop()
            if not _is_lost(connection):
                return connection
            await self._put_back(connection)
        self._asking += 1
        try:
            with database_errors():
                return await self._pool.acquire(timeout=ACQUIRE_SECONDS)
        finally:
            self._asking -= 1

    async def _put_back(self, connection: Any) -> None:  # noqa: ANN401 as above
        """The pool undoes what was left undone, and gives it to who asks."""
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await self._pool.release(connection, timeout=RELEASE_SECONDS)

    async def close(self) -> None:
        """Wait for what is lent, not for ever, then disconnect."""
        self._is_closing = True
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                while self._at_hand:
                    await self._put_back(self._at_hand.pop())
                await self._pool.close()
        except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            self._pool.terminate()


def _is_lost(connection: Any) -> bool:  # noqa: ANN401 ours, in the pool's wrapping
    """Closed, or taken back by the pool because it was."""
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:
        return True


async def _get_to_know(connection: "asyncpg.Connection[Any]") -> None:
    """Note whom it talks to. A server may answer before a commit is on disk: what packhook was answered must hold."""
    if isinstance(connection, _Connection):
        row = await connection.fetchrow(SQL["this_backend"])
        connection.backend = None if row is None else (row[0], row[1])
    if await connection.fetchval("SHOW synchronous_commit") == "off":
        await connection.execute("SET synchronous_commit = on")


async def _leave_as_it_is(connection: object) -> None:
    """Nothing is ever changed on a connection, so nothing is to be undone, and a round trip is saved."""
