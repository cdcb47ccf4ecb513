"""Run the dialect's statements, for one row, all rows, or a page; and raise the store's errors for the database's."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import apsw

from packhook.core.errors import RowRefused, Unavailable
from packhook.store.base import Page, PageRequest
from packhook.store.filters import Conditions, Hints
from packhook.store.pagination import page_of, page_statement
from packhook.store.rows import Row
from packhook.store.statements import load

T = TypeVar("T")

SQL: Final = load("sqlite")

# A unary plus keeps SQLite from the organization's index where there is a narrower one.
# What is leased directly is in an index of its own.
_SENDING: Final = """rowid IN (
  SELECT rowid FROM deliveries WHERE {}claimable_at IS NOT NULL
  UNION ALL SELECT rowid FROM deliveries WHERE leased_until IS NOT NULL)"""
HINTS: Final = Hints(
    unindexed="+{}",
    pending="claimable_at IS NOT NULL",
    key_of_all="id",
    key_of_pending="id",
    sending=(_SENDING.format(""), "", _SENDING.format("webhook_id = :webhook_id AND ")),
    key_of_sending="+id",
)


@contextmanager
def database_errors() -> Iterator[None]:
    """Raise Unavailable for whatever goes wrong inside the database: full, read-only, broken, away.

    Raise RowRefused, a kind of Unavailable, if the database rejects the row itself: a repetition fails too.
    """
    try:
        yield
    except (apsw.ConstraintError, apsw.TooBigError, apsw.MismatchError) as error:
        raise RowRefused(f"the database refused a row: {type(error).__name__}: {error}") from error
    except apsw.Error as error:
        raise Unavailable(f"the database failed: {type(error).__name__}: {error}") from error


def fetch_one(db: apsw.Connection, statement: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> Row | None:
    """Return the first row, or None; the statement runs to its end either way."""
    found = fetch_all(db, statement, values)
    return found[0] if found else None


def fetch_all(db: apsw.Connection, statement: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[Row]:
    """Return all rows."""
    return list(db.execute(statement, values if isinstance(values, Mapping) else tuple(values)))


def fetch_page(
    db: apsw.Connection,
    name: str,
    conditions: Conditions,
    page: PageRequest,
    read: Callable[[Row], T],
    *,
    newest_first: bool,
) -> Page[T]:
    """Return one page of a list that is ordered by id."""
    text, values = page_statement(SQL[name], conditions, page, newest_first=newest_first)
    return page_of(fetch_all(db, text, values), page, read)
