"""Implement the DashboardStore on PostgreSQL."""

from typing import Final

from packhook.core.audit import AuditEntry
from packhook.core.fairness import OF_THE_NODE
from packhook.core.operator_session import OperatorSession
from packhook.core.search import Found, FoundKind, Slice
from packhook.store import rows
from packhook.store.postgres.audit import write_audit
from packhook.store.postgres.queries import SQL, Db, Run, RunFor, has_no_nul
from packhook.store.search import ORDER_SLICE, SLICE, place_after


class PostgresDashboard:
    """See :class:`packhook.store.dashboard.DashboardStore` for every promise."""

    def __init__(self, read_hot_path: Run, read_for: RunFor, write_for: RunFor) -> None:
        self._read_hot_path = read_hot_path
        self._read_for = read_for
        self._write_for = write_for

    async def begin_session(self, session: OperatorSession, session_hash: bytes, entry: AuditEntry, limit: int) -> None:
        await self._write_for(OF_THE_NODE, begin_session, session, session_hash, entry, limit)

    async def find_session(self, session_hash: bytes, now: int) -> OperatorSession | None:
        return await self._read_hot_path(find_session, session_hash, now)

    async def end_session(self, session_hash: bytes, entry: AuditEntry) -> None:
        await self._write_for(OF_THE_NODE, end_session, session_hash, entry)

    async def owner_of(self, kind: FoundKind, identifier: str) -> str | None:
        return await self._read_for(OF_THE_NODE, owner_of, kind, identifier)

    async def search_organizations(self, text: str, after: str) -> Slice:
        return await self._read_for(OF_THE_NODE, search_organizations, text, after)

    async def search_webhooks(self, text: str, after: str, organization_id: str | None) -> Slice:
        return await self._read_for(organization_id or OF_THE_NODE, search_webhooks, text, after, organization_id)

    async def search_orders(self, text: str, after: str) -> Slice:
        return await self._read_for(OF_THE_NODE, search_orders, text, after)


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


async def owner_of(db: Db, kind: FoundKind, identifier: str) -> str | None:
    """See SearchStore.owner_of."""
    if not has_no_nul(identifier):
        return None
    row = await db.fetch_one(SQL[OWNERS[kind]], identifier)
    return None if row is None else row[0]


async def search_organizations(db: Db, text: str, after: str) -> Slice:
    """See SearchStore.search_organizations."""
    if not has_no_nul(text):
        return Slice(found=(), after=None)
    (end, *matches) = await db.fetch_all(SQL["search_organizations"], text.lower(), after, SLICE)
    found = [Found(kind=FoundKind.ORGANIZATION, organization_id=row[1], name=row[1], text=row[2]) for row in matches]
    return Slice(found=tuple(found), after=place_after(end[1], end[3], SLICE))


async def search_webhooks(db: Db, text: str, after: str, organization_id: str | None) -> Slice:
    """See SearchStore.search_webhooks."""
    if not has_no_nul(text):
        return Slice(found=(), after=None)
    values = (text.lower(), after, SLICE)
    if organization_id is None:
        (end, *matches) = await db.fetch_all(SQL["search_webhooks"], *values)
    else:
        (end, *matches) = await db.fetch_all(SQL["search_webhooks_of_organization"], *values, organization_id)
    found = [Found(kind=FoundKind.WEBHOOK, organization_id=row[2], name=row[1], text=row[3]) for row in matches]
    return Slice(found=tuple(found), after=place_after(end[1], end[4], SLICE))


async def search_orders(db: Db, text: str, after: str) -> Slice:
    """See SearchStore.search_orders."""
    if not has_no_nul(text):
        return Slice(found=(), after=None)
    (end, *matches) = await db.fetch_all(SQL["search_orders"], text, after, ORDER_SLICE)
    kinds = {1: FoundKind.SUBJECT, 2: FoundKind.REFERENCE}
    found = [Found(kind=kinds[row[0]], organization_id=row[1], name=text) for row in matches]
    return Slice(found=tuple(found), after=place_after(end[1], end[2], ORDER_SLICE))


OWNERS: Final = {
    FoundKind.EVENT: "find_owner_of_event",
    FoundKind.DELIVERY: "find_owner_of_delivery",
    FoundKind.WEBHOOK: "find_owner_of_webhook",
    FoundKind.REPLAY: "find_owner_of_replay",
}
