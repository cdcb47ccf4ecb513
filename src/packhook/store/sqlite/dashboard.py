"""Implement the DashboardStore on SQLite."""

from collections.abc import Callable
from typing import Final

import apsw

from packhook.core.audit import AuditEntry
from packhook.core.fairness import OF_THE_NODE
from packhook.core.operator_session import OperatorSession
from packhook.core.search import Found, FoundKind, Slice
from packhook.store import rows
from packhook.store.search import ORDER_SLICE, SLICE, place_after
from packhook.store.sqlite.audit import write_audit
from packhook.store.sqlite.queries import SQL, fetch_all, fetch_one
from packhook.store.sqlite.reader import Reader
from packhook.store.sqlite.writer import Writer


class SqliteDashboard:
    """See :class:`packhook.store.dashboard.DashboardStore` for every promise."""

    def __init__(
        self, hot_path_reader: Callable[[], Reader], reader: Callable[[], Reader], writer: Callable[[], Writer]
    ) -> None:
        self._hot_path_reader = hot_path_reader
        self._reader = reader
        self._writer = writer

    async def begin_session(self, session: OperatorSession, session_hash: bytes, entry: AuditEntry, limit: int) -> None:
        await self._writer().write(begin_session, session, session_hash, entry, limit)

    async def find_session(self, session_hash: bytes, now: int) -> OperatorSession | None:
        return await self._hot_path_reader().read(find_session, session_hash, now)

    async def end_session(self, session_hash: bytes, entry: AuditEntry) -> None:
        await self._writer().write(end_session, session_hash, entry)

    async def owner_of(self, kind: FoundKind, identifier: str) -> str | None:
        return await self._reader().read(owner_of, kind, identifier)

    async def search_organizations(self, text: str, after: str) -> Slice:
        return await self._reader().read(search_organizations, text, after)

    async def search_webhooks(self, text: str, after: str, organization_id: str | None) -> Slice:
        return await self._reader().read_for(
            organization_id or OF_THE_NODE, search_webhooks, text, after, organization_id
        )

    async def search_orders(self, text: str, after: str) -> Slice:
        return await self._reader().read(search_orders, text, after)


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


def owner_of(db: apsw.Connection, kind: FoundKind, identifier: str) -> str | None:
    """See SearchStore.owner_of."""
    row = fetch_one(db, SQL[OWNERS[kind]], (identifier,))
    return None if row is None else row[0]


def search_organizations(db: apsw.Connection, text: str, after: str) -> Slice:
    """See SearchStore.search_organizations."""
    (end, *matches) = fetch_all(db, SQL["search_organizations"], (text.lower(), after, SLICE))
    found = [Found(kind=FoundKind.ORGANIZATION, organization_id=row[1], name=row[1], text=row[2]) for row in matches]
    return Slice(found=tuple(found), after=place_after(end[1], end[3], SLICE))


def search_webhooks(db: apsw.Connection, text: str, after: str, organization_id: str | None) -> Slice:
    """See SearchStore.search_webhooks."""
    values = (text.lower(), after, SLICE)
    if organization_id is None:
        (end, *matches) = fetch_all(db, SQL["search_webhooks"], values)
    else:
        (end, *matches) = fetch_all(db, SQL["search_webhooks_of_organization"], (*values, organization_id))
    found = [Found(kind=FoundKind.WEBHOOK, organization_id=row[2], name=row[1], text=row[3]) for row in matches]
    return Slice(found=tuple(found), after=place_after(end[1], end[4], SLICE))


def search_orders(db: apsw.Connection, text: str, after: str) -> Slice:
    """See SearchStore.search_orders."""
    (end, *matches) = fetch_all(db, SQL["search_orders"], (text, after, ORDER_SLICE))
    kinds = {1: FoundKind.SUBJECT, 2: FoundKind.REFERENCE}
    found = [Found(kind=kinds[row[0]], organization_id=row[1], name=text) for row in matches]
    return Slice(found=tuple(found), after=place_after(end[1], end[2], ORDER_SLICE))


OWNERS: Final = {
    FoundKind.EVENT: "find_owner_of_event",
    FoundKind.DELIVERY: "find_owner_of_delivery",
    FoundKind.WEBHOOK: "find_owner_of_webhook",
    FoundKind.REPLAY: "find_owner_of_replay",
}
