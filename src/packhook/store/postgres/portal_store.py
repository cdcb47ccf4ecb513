"""Implement the PortalStore on PostgreSQL."""

from packhook.core.audit import AuditEntry
from packhook.core.fairness import OF_THE_NODE
from packhook.core.portal import PortalSession
from packhook.store import rows
from packhook.store.postgres.audit import write_audit
from packhook.store.postgres.organizations import lock_organization
from packhook.store.postgres.queries import SQL, Db, Run, RunFor


class PostgresPortal:
    """See :class:`packhook.store.portal.PortalStore` for every promise. ``read`` is delayed by no long list."""

    def __init__(self, read: Run, write_for: RunFor) -> None:
        self._read = read
        self._write_for = write_for

    async def create(self, session: PortalSession, link_hash: bytes, entry: AuditEntry, limit: int) -> None:
        await self._write_for(session.organization_id, create_link, session, link_hash, entry, limit)

    async def find_link(self, link_hash: bytes, now: int) -> PortalSession | None:
        return await self._read(find_valid, "find_portal_link", link_hash, now)

    async def open(self, link_hash: bytes, session_hash: bytes, now: int, entry: AuditEntry) -> PortalSession | None:
        return await self._write_for(entry.organization_id, open_link, link_hash, session_hash, now, entry)

    async def find_session(self, session_hash: bytes, now: int) -> PortalSession | None:
        return await self._read(find_valid, "find_portal_session", session_hash, now)

    async def end(self, session_hash: bytes) -> None:
        await self._write_for(OF_THE_NODE, end_session, session_hash)


async def create_link(db: Db, session: PortalSession, link_hash: bytes, entry: AuditEntry, limit: int) -> None:
    """See PortalStore.create."""
    await lock_organization(db, session.organization_id)
    await db.fetch_all(SQL["insert_portal_session"], link_hash, *rows.PORTAL_SESSIONS.values(session))
    await db.fetch_all(SQL["delete_oldest_portal_sessions"], session.organization_id, limit)
    await write_audit(db, entry)


async def find_valid(db: Db, name: str, token_hash: bytes, now: int) -> PortalSession | None:
    """Return what the statement of this name selects by a token."""
    row = await db.fetch_one(SQL[name], token_hash, now)
    return None if row is None else rows.PORTAL_SESSIONS.read(row)


async def open_link(db: Db, link_hash: bytes, session_hash: bytes, now: int, entry: AuditEntry) -> PortalSession | None:
    """See PortalStore.open."""
    row = await db.fetch_one(SQL["open_portal_session"], link_hash, now, session_hash)
    if row is None:
        return None
    await write_audit(db, entry)
    return rows.PORTAL_SESSIONS.read(row)


async def end_session(db: Db, session_hash: bytes) -> None:
    """See PortalStore.end."""
    await db.fetch_all(SQL["delete_portal_session"], session_hash)
