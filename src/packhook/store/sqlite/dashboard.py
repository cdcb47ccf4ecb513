"""Implement the DashboardStore on SQLite."""

from collections.abc import Callable

import apsw

from packhook.core.audit import AuditEntry
from packhook.core.operator_session import OperatorSession
from packhook.store import rows
from packhook.store.sqlite.audit import write_audit
from packhook.store.sqlite.queries import SQL, fetch_one
from packhook.store.sqlite.reader import Reader
from packhook.store.sqlite.writer import Writer


class SqliteDashboard:
    """See :class:`packhook.store.dashboard.DashboardStore` for every promise."""

    def __init__(self, hot_path_reader: Callable[[], Reader], writer: Callable[[], Writer]) -> None:
        self._hot_path_reader = hot_path_reader
        self._writer = writer

    async def begin_session(self, session: OperatorSession, session_hash: bytes, entry: AuditEntry, limit: int) -> None:
        await self._writer().write(begin_session, session, session_hash, entry, limit)

    async def find_session(self, session_hash: bytes, now: int) -> OperatorSession | None:
        return await self._hot_path_reader().read(find_session, session_hash, now)

    async def end_session(self, session_hash: bytes, entry: AuditEntry) -> None:
        await self._writer().write(end_session, session_hash, entry)


def begin_session(
    db: apsw.Connection, session: OperatorSession, session_hash: bytes, entry: AuditEntry, limit: int
) -> None:
    """See DashboardStore.begin_session."""
    db.execute(SQL["insert_operator_session"], (session_hash, *rows.OPERATOR_SESSIONS.values(session)))
    db.execute(SQL["delete_oldest_operator_sessions"], (limit,))
    write_audit(db, entry)


def find_session(db: apsw.Connection, session_hash: bytes, now: int) -> OperatorSession | None:
    """See DashboardStore.find_session."""
    row = fetch_one(db, SQL["find_operator_session"], (session_hash, now))
    return None if row is None else rows.OPERATOR_SESSIONS.read(row)


def end_session(db: apsw.Connection, session_hash: bytes, entry: AuditEntry) -> None:
    """See DashboardStore.end_session."""
    if fetch_one(db, SQL["delete_operator_session"], (session_hash,)) is not None:
        write_audit(db, entry)
