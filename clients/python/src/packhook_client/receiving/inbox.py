"""Handle each event once, on SQLite, PostgreSQL or any database with a DB-API connection.

The inbox is a table of the ids of handled events. An id is written in the transaction of the handler's own work, so
both are committed or neither is: a crash in between leaves nothing, and the next attempt handles the event.
"""

import re
import sqlite3
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, Protocol, TypeVar

_PRUNED_AT_ONCE: Final = 10_000


class Cursor(Protocol):
    """Describe what the inbox needs of a DB-API cursor."""

    @property
    def rowcount(self) -> int:
        """Return how many rows the last statement changed."""

    def execute(self, operation: str, parameters: Any = ..., /) -> object:  # noqa: ANN401 each driver has its own type
        """Run a statement."""

    def close(self) -> object:
        """Close it."""


class Connection(Protocol):
    """Describe what the inbox needs of a DB-API connection: sqlite3's, psycopg's, Django's ``connection``."""

    def cursor(self) -> Any:  # noqa: ANN401 a Cursor; drivers return more
        """Return a cursor."""

    def commit(self) -> object:
        """Commit the transaction."""

    def rollback(self) -> object:
        """Roll the transaction back."""


C = TypeVar("C", bound=Connection)


class Statements:
    """Write the statements of one table, with the placeholder of a driver such as ``?``. ValueError for a bad name."""

    def __init__(self, table: str) -> None:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,50}(\.[A-Za-z_][A-Za-z0-9_]{0,50})?", table):
            raise ValueError(f"expected a table name of letters, digits and underscores, got {table!r}")
        index = table.replace(".", "_") + "_by_time"
        self.create: Final = (
            f"CREATE TABLE IF NOT EXISTS {table} (event_id TEXT PRIMARY KEY, handled_at BIGINT NOT NULL)",
            f"CREATE INDEX IF NOT EXISTS {index} ON {table} (handled_at)",
        )
        self.claim: Final = (
            f"INSERT INTO {table} (event_id, handled_at) VALUES ({{0}}, {{1}}) ON CONFLICT (event_id) DO NOTHING"  # noqa: S608 the name was checked
        )
        self.prune: Final = (
            f"DELETE FROM {table} WHERE event_id IN "  # noqa: S608 as above
            f"(SELECT event_id FROM {table} WHERE handled_at < {{0}} ORDER BY handled_at LIMIT {{1}})"
        )


class Inbox:
    """Remember handled events in a table of your database, with the DB-API connections that you pass.

    Two endpoints that get the same event and do different work need a table each.
    """

    def __init__(self, table: str = "packhook_inbox") -> None:
        self._statements: Final = Statements(table)

    def create(self, connection: Connection) -> None:
        """Create the table if it does not exist, and commit."""
        cursor = connection.cursor()
        for statement in self._statements.create:
            cursor.execute(statement)
        cursor.close()
        connection.commit()

    def handle(self, connection: C, event_id: str, handler: Callable[[C], object]) -> bool:
        """Run ``handler(connection)`` and remember the event, in one transaction; False if it was handled before.

        The handler writes with this connection and does not commit. If it raises, everything is rolled back: respond
        with 5xx, and the event is sent again. A second delivery of the event at the same time waits for the first one.
        """
        try:
            is_new = self.claim(connection, event_id)
            if is_new:
                handler(connection)
            connection.commit()
        except BaseException:
            connection.rollback()
            raise
        return is_new

    def claim(self, connection: Connection, event_id: str) -> bool:
        """Write an event's id in the connection's transaction, or begin one with it; return False if it is there.

        For code that commits by itself, such as Django's ``transaction.atomic()``. ValueError if the connection commits
        each statement: the id would be safe before the work is.
        """
        if _commits_each_statement(connection):
            raise ValueError("the connection commits each statement by itself: the inbox needs a transaction")
        return self._execute(connection, self._statements.claim, event_id, int(time.time())) == 1

    def prune(self, connection: Connection, older_than: timedelta) -> int:
        """Forget events that were handled longer ago, at most 10,000 in one transaction; return how many.

        Keep them for longer than an event can arrive again: than the retry schedule (75 h 35 min by default), and than
        anyone retries or replays deliveries by hand. 30 days is how long packhook keeps events by default.
        """
        before = int(time.time() - older_than.total_seconds())
        forgotten = self._execute(connection, self._statements.prune, before, _PRUNED_AT_ONCE)
        connection.commit()
        return forgotten

    @staticmethod
    def _execute(connection: Connection, statement: str, *parameters: object) -> int:
        placeholder = "?" if isinstance(connection, sqlite3.Connection) else "%s"
        cursor: Cursor = connection.cursor()
        try:
            cursor.execute(statement.format(placeholder, placeholder), parameters)
            return cursor.rowcount
        finally:
            cursor.close()


def _commits_each_statement(connection: Connection) -> bool:
    """Tell whether no transaction is open, and the next statement begins none."""
    if isinstance(connection, sqlite3.Connection):
        manual = connection.isolation_level is None or getattr(connection, "autocommit", False) is True
        return manual and not connection.in_transaction
    return getattr(connection, "autocommit", False) is True
