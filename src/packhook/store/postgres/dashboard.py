"""Implement the DashboardStore on PostgreSQL."""

from packhook.core.audit import AuditEntry
from packhook.core.fair_queue import OF_THE_NODE
from packhook.core.operator_session import OperatorSession
from packhook.store import rows
from packhook.store.postgres.audit import write_audit
from packhook.store.postgres.queries import SQL, Db, Run, RunFor


class PostgresDashboard:
    """See :class:`packhook.store.dashboard.DashboardStore` for every promise."""

    def __init__(self, read_hot_path: Run, write_for: RunFor) -> None:
        self._read_hot_path = read_hot_path
        self._write_for = write_for

    async def begin_session(self, session: OperatorSession, session_hash: bytes, entry: AuditEntry, limit: int) -> None:
        await self._write_for(OF_THE_NODE, begin_session, session, session_hash, entry, limit)

    async def find_session(self, session_hash: bytes, now: int) -> OperatorSession | None:
        return await self._read_hot_path(find_session, session_hash, now)

    async def end_session(self, session_hash: bytes, entry: AuditEntry) -> None:
        await self._write_for(OF_THE_NODE, end_session, session_hash, entry)


async def begin_session(db: Db, session: OperatorSession, session_hash: bytes, entry: AuditEntry, limit: int) -> None:
    """See DashboardStore.begin_session."""
    await db.fetch_all(SQL["insert_operator_session"], session_hash, *rows.OPERATOR_SESSIONS.values(session))
    await db.fetch_all(SQL["delete_oldest_operator_sessions"], limit)
    await write_audit(db, entry)


async def find_session(db: Db, session_hash: bytes, now: int) -> OperatorSession | None:
    """See DashboardStore.find_session."""
    row = await db.fetch_one(SQL["find_operator_session"], session_hash, now)
    return None if row is None else rows.OPERATOR_SESSIONS.read(row)


async def end_session(db: Db, session_hash: bytes, entry: AuditEntry) -> None:
    """See DashboardStore.end_session."""
    if await db.fetch_one(SQL["delete_operator_session"], session_hash) is not None:
        await write_audit(db, entry)
