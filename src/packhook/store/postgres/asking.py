"""How the work functions ask: the dialect's statements, one row, all rows, a page."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, Final, TypeVar

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from packhook.core.errors import Unavailable
from packhook.store.base import Page, PageRequest
from packhook.store.pagination import list_page
from packhook.store.rows import Row
from packhook.store.statements import load

SQL: Final = load("postgres")

T = TypeVar("T")

_NAMED: Final = re.compile(r"(?<!:):(\w+)")


Backend = tuple[int, datetime]
"""A process of the server: its number, and since when it runs."""


class InDoubt(Exception):
    """Whether it was written is not known: the answer was lost with the connection to this process of the server.

    None: nobody knows to which. The store resolves it (writer.py), nobody else hears of it.
    """

    def __init__(self, detail: str, backend: Backend | None) -> None:
        super().__init__(detail)
        self.backend = backend


class Db:
    """A connection, for as long as it is lent."""

    __slots__ = ("_backend", "_connection")

    def __init__(
        self, connection: "asyncpg.Connection[Any] | PoolConnectionProxy[Any]", backend: Backend | None = None
    ) -> None:
        self._connection = connection
        self._backend = backend

    async def all(self, statement: str, *values: object) -> list[Row]:
        """All rows."""
        return await self._connection.fetch(statement, *values)

    async def first(self, statement: str, *values: object) -> Row | None:
        """The first row, or None."""
        return await self._connection.fetchrow(statement, *values)

    async def alone(self, statement: str, *values: object) -> list[Row]:
        """All rows of a statement that is a transaction of its own. InDoubt where its answer was lost."""
        if self._connection.is_closed():
            raise Unavailable("the connection to the database was lost")
        with self.in_doubt(refusing=True):
            return await self._connection.fetch(statement, *values)

    @contextmanager
    def in_doubt(self, *, refusing: bool = False) -> Iterator[None]:
        """Whatever goes wrong in here leaves it open what was written; ``refusing``: unless the server refused it."""
        try:
            yield
        except Exception as error:
            if refusing and _is_refusal(error):
                raise
            self._give_up()
            raise InDoubt(f"the answer was lost: {type(error).__name__}: {error}", self._backend) from error

    async def run(self, script: str) -> None:
        """Statements without values and without rows."""
        await self._connection.execute(script)

    async def begin(self) -> None:
        """Begin a transaction."""
        await self._connection.execute("BEGIN")

    async def commit(self) -> None:
        """End it; Unavailable where the database had given it up."""
        if await self._connection.execute("COMMIT") != "COMMIT":
            raise Unavailable("the database gave the transaction up")

    async def rollback(self) -> None:
        """Undo it; a connection that cannot even do this is closed."""
        try:
            await self._connection.execute("ROLLBACK")
        except Exception:  # noqa: BLE001 whatever is wrong with it, it is not used again
            self._give_up()

    def _give_up(self) -> None:
        with suppress(asyncpg.InterfaceError):  # it was lost, and the pool has noticed
            self._connection.terminate()


def _is_refusal(error: Exception) -> bool:
    """It was never sent, or the server undid it and said so; not so where the server went, or was about to."""
    return isinstance(error, (ValueError, asyncpg.QueryCanceledError)) or (
        isinstance(error, asyncpg.PostgresError)
        and not isinstance(error, (asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError))
    )


def sayable(*values: object) -> bool:
    """Whether PostgreSQL can be asked for these: it knows no text with a NUL in it, so it has nothing of that name."""
    return not any(isinstance(value, str) and "\0" in value for value in values)


def storable(text: str) -> str:
    """Words, without the one character that PostgreSQL cannot keep."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def columns(rows: Iterable[tuple[Any, ...]], count: int) -> tuple[list[Any], ...]:
    """Rows turned into ``count`` arrays, for unnest."""
    return tuple(map(list, zip(*rows, strict=True))) or tuple([] for _ in range(count))


async def page_of(
    db: Db,
    statement: str,
    conditions: Collection[str],
    values: Mapping[str, Any],
    page: PageRequest,
    *,
    newest_first: bool,
    read: Callable[[Row], T],
) -> Page[T]:
    """As list_page, on a database that answers later."""
    asked: list[tuple[str, Mapping[str, Any]]] = []

    def note(text: str, finished: Mapping[str, Any]) -> list[Row]:
        asked.append((text, finished))
        return []

    def build(fetch: Callable[[str, Mapping[str, Any]], list[Row]]) -> Page[T]:
        return list_page(
            statement, list(conditions), dict(values), page, newest_first=newest_first, fetch=fetch, read=read
        )

    build(note)
    found = await _fetch(db, *asked[0])
    return build(lambda *_: found)


async def _fetch(db: Db, text: str, values: Mapping[str, Any]) -> list[Row]:
    """Named parameters, as both dialects' lists have them, become numbered ones."""
    names = list(dict.fromkeys(_NAMED.findall(text)))
    given = [values[name] for name in names]
    if not sayable(*given):
        return []
    return await db.all(_NAMED.sub(lambda match: f"${names.index(match[1]) + 1}", text), *given)
