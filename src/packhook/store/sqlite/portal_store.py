"""Implement the PortalStore on SQLite."""

from collections.abc import Callable

import apsw

from packhook.core.audit import AuditEntry
from packhook.core.portal import PortalSession
from packhook.store import rows
from packhook.store.sqlite.audit import write_audit
from packhook.store.sqlite.organizations import require_organization
from packhook.store.sqlite.queries import SQL, fetch_one
from packhook.store.sqlite.reader import Reader
from packhook.store.sqlite.writer import Writer


class SqlitePortal:
    """See :class:`packhook.store.portal.PortalStore` for every promise."""

    def __init__(self, reader: Callable[[], Reader], writer: Callable[[], Writer]) -> None:
        self._reader = reader
        self._writer = writer

    async def create(self, session: PortalSession, link_hash: bytes, entry: AuditEntry, limit: int) -> None:
        await self._writer().write_for(session.organization_id, create_link, session, link_hash, entry, limit)

    async def find_link(self, link_hash: bytes, now: int) -> PortalSession | None:
        return await self._reader().read(find_valid, "find_portal_link", link_hash, now)

    async def open(self, link_hash: bytes, session_hash: bytes, now: int, entry: AuditEntry) -> PortalSession | None:
        return await self._writer().write_for(entry.organization_id, open_link, link_hash, session_hash, now, entry)

    async def find_session(self, session_hash: bytes, now: int) -> PortalSession | None:
        return await self._reader().read(find_valid, "find_portal_session", session_hash, now)

    async def end(self, session_hash: bytes) -> None:
        await self._writer().write(end_session, session_hash)


def create_link(db: apsw.Connection, session: PortalSession, link_hash: bytes, entry: AuditEntry, limit: int) -> None:
    """See PortalStore.create."""
    require_organization(db, session.organization_id)
    db.execute(SQL["insert_portal_session"], (link_hash, *rows.PORTAL_SESSIONS.values(session)))
    db.execute(SQL["delete_oldest_portal_sessions"], (session.organization_id, limit))
    write_audit(db, entry)


def find_valid(db: apsw.Connection, name: str, token_hash: bytes, now: int) -> PortalSession | None:
    """Return what the statement of this name selects by a token."""
    row = fetch_one(db, SQL[name], (token_hash, now))
    return None if row is None else rows.PORTAL_SESSIONS.read(row)


def open_link(
    db: apsw.Connection, link_hash: bytes, session_hash: bytes, now: int, entry: AuditEntry
) -> PortalSession | None:
    """See PortalStore.open."""
    row = fetch_one(db, SQL["open_portal_session"], (link_hash, now, session_hash))
    if row is None:
        return None
    write_audit(db, entry)
    return rows.PORTAL_SESSIONS.read(row)


def end_session(db: apsw.Connection, session_hash: bytes) -> None:
    """See PortalStore.end."""
    db.execute(SQL["delete_portal_session"], (session_hash,))
