"""Run the dialect's statements: one row, all rows, a page; and find out what an error says about a write."""

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from packhook.core.errors import Unavailable
from packhook.store.base import Page, PageRequest
from packhook.store.config import DEFAULT, StoreConfig
from packhook.store.filters import Conditions, Hints
from packhook.store.pagination import page_of, page_statement
from packhook.store.rows import Row
from packhook.store.statements import load

SQL: Final = load("postgres")

T = TypeVar("T")

_LIVE: Final = "status IN ('pending', 'sending')"
# An empty text appended keeps PostgreSQL from the organization's index where there is a narrower one.
HINTS: Final = Hints(
    unindexed="{} || ''",
    pending=_LIVE,
    key_of_all="(id || '')",
    key_of_pending="('' || id)",
    sending=(_LIVE, _LIVE, _LIVE),
    key_of_sending="(id || '' || '')",
)
_NAMED: Final = re.compile(r"(?<!:):(\w+)")

Backend = tuple[int, datetime]
"""Identify a server process: its number, and when it started."""


class CommitOutcomeUnknown(Exception):
    """Signal that it is unknown whether a write was committed: the answer was lost with the server connection.

    ``backend`` is None where the process is unknown, too. The store resolves it (``writer.py``).
    """

    def __init__(self, detail: str, backend: Backend | None) -> None:
        super().__init__(detail)
        self.backend = backend


class Run(Protocol):
    """Run work on a connection, with the arguments that follow."""

    def __call__(self, work: Callable[..., Awaitable[T]], *args: Any) -> Awaitable[T]:  # noqa: ANN401 the work's own
        """Return the result of the work."""
        ...


class RunFor(Protocol):
    """Run work of an organization on a connection, with the arguments that follow."""

    def __call__(
        self,
        organization_id: str,
        work: Callable[..., Awaitable[T]],
        *args: Any,  # noqa: ANN401 the work's own
    ) -> Awaitable[T]:
        """Return the result of the work."""
        ...


class Db:
    """Run statements on a connection that was acquired.

    ``config`` is the store's.
    """

    __slots__ = ("_backend", "_connection", "config")

    def __init__(
        self,
        connection: "asyncpg.Connection[Any] | PoolConnectionProxy[Any]",
        backend: Backend | None = None,
        config: StoreConfig = DEFAULT,
    ) -> None:
        self._connection = connection
        self._backend = backend
        self.config = config

    async def fetch_all(self, statement: str, *values: object) -> list[Row]:
        """Return all rows."""
        return await self._connection.fetch(statement, *values)

    async def fetch_one(self, statement: str, *values: object) -> Row | None:
        """Return the first row, or None."""
        return await self._connection.fetchrow(statement, *values)

    async def execute_autocommit(self, statement: str, *values: object) -> list[Row]:
        """Return all rows of a statement that is a transaction of its own. Raises CommitOutcomeUnknown."""
        if self._connection.is_closed():
            raise Unavailable("the connection to the database was lost")
        with self.outcome_unknown_on_error(unless_refused=True):
            return await self._connection.fetch(statement, *values)

    @contextmanager
    def outcome_unknown_on_error(self, *, unless_refused: bool = False) -> Iterator[None]:
        """Raise CommitOutcomeUnknown for any error in here; ``unless_refused``: but not where the server refused it."""
        try:
            yield
        except Exception as error:
            if unless_refused and _is_refusal(error):
                raise
            self._terminate()
            raise CommitOutcomeUnknown(
                f"the answer was lost: {type(error).__name__}: {error}", self._backend
            ) from error

    async def begin(self) -> None:
        """Begin a transaction."""
        await self._connection.execute("BEGIN")

    async def commit(self) -> None:
        """Commit the transaction. Raises Unavailable where the database had aborted it."""
        if await self._connection.execute("COMMIT") != "COMMIT":
            raise Unavailable("the database aborted the transaction")

    async def rollback(self) -> None:
        """Roll the transaction back; a connection that cannot even do this is closed."""
        try:
            await self._connection.execute("ROLLBACK")
        except Exception:  # noqa: BLE001 whatever is wrong with it, it is not used again
            self._terminate()

    def _terminate(self) -> None:
        with suppress(asyncpg.InterfaceError):  # it was lost, and the pool has noticed
            self._connection.terminate()


def _is_refusal(error: Exception) -> bool:
    """Return whether the statement was never sent, or the server rolled it back and said so.

    Not so where the server was shutting down.
    """
    return isinstance(error, (ValueError, asyncpg.QueryCanceledError)) or (
        isinstance(error, asyncpg.PostgresError)
        and not isinstance(error, (asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError))
    )


def has_no_nul(*values: object) -> bool:
    """Return whether PostgreSQL can be asked for these: it has no text with a NUL in it, so nothing of that name."""
    return not any(isinstance(value, str) and "\0" in value for value in values)


def replace_nul(values: Iterable[Any]) -> list[Any]:
    """Return the values of a row, with the one character replaced that PostgreSQL cannot store in a text."""
    return [
        value.replace("\0", "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) and "\0" in value else value
        for value in values
    ]


def to_arrays(rows: Iterable[Sequence[Any]], count: int) -> tuple[list[Any], ...]:
    """Return rows as ``count`` arrays, for unnest."""
    return tuple(map(list, zip(*rows, strict=True))) or tuple([] for _ in range(count))


async def fetch_page(
    db: Db, name: str, conditions: Conditions, page: PageRequest, read: Callable[[Row], T], *, newest_first: bool
) -> Page[T]:
    """Return one page of a list that is ordered by id."""
    text, values = page_statement(SQL[name], conditions, page, newest_first=newest_first)
    return page_of(await _fetch_named(db, text, values), page, read)


async def _fetch_named(db: Db, text: str, values: Mapping[str, Any]) -> list[Row]:
    """Number the named parameters, and return all rows."""
    names = list(dict.fromkeys(_NAMED.findall(text)))
    numbered = [values[name] for name in names]
    if not has_no_nul(*numbered):
        return []
    return await db.fetch_all(_NAMED.sub(lambda match: f"${names.index(match[1]) + 1}", text), *numbered)
