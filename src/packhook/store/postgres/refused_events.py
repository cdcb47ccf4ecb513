"""Implement the RefusedEventStore on PostgreSQL."""

from collections.abc import Collection

from packhook.core.audit import AuditEntry
from packhook.core.errors import NotFound
from packhook.core.fairness import OF_THE_NODE
from packhook.store import rows
from packhook.store.base import Page, PageRequest
from packhook.store.filters import refused_event_conditions
from packhook.store.postgres.audit import write_audit
from packhook.store.postgres.notifications import notify_published
from packhook.store.postgres.queries import SQL, Db, RunFor, fetch_page, has_no_nul
from packhook.store.refused_events import RefusedEvent, RefusedEventFilter, not_refused


class PostgresRefusedEvents:
    """See :class:`packhook.store.refused_events.RefusedEventStore` for every promise."""

    def __init__(self, read: RunFor, write: RunFor) -> None:
        self._read = read
        self._write = write

    async def list(self, page: PageRequest, where: RefusedEventFilter) -> Page[RefusedEvent]:
        return await self._read(where.organization_id or OF_THE_NODE, list_refused, page, where)

    async def retry(self, organization_id: str, event_id: str, entry: AuditEntry) -> RefusedEvent:
        return await self._write(organization_id, retry, organization_id, event_id, entry)

    async def retry_many(self, events: Collection[RefusedEvent], entries: Collection[AuditEntry]) -> int:
        return await self._write(OF_THE_NODE, retry_many, events, entries)

    async def discard(self, organization_id: str, event_id: str, entry: AuditEntry) -> None:
        await self._write(organization_id, discard, organization_id, event_id, entry)


async def list_refused(db: Db, page: PageRequest, where: RefusedEventFilter) -> Page[RefusedEvent]:
    """See RefusedEventStore.list."""
    conditions = refused_event_conditions(where)
    return await fetch_page(db, "list_refused_events", conditions, page, rows.REFUSED_EVENTS.read, newest_first=True)


async def retry(db: Db, organization_id: str, event_id: str, entry: AuditEntry) -> RefusedEvent:
    """See RefusedEventStore.retry."""
    found = await _lock(db, organization_id, event_id)
    await db.fetch_all(SQL["retry_refused_event"], event_id)
    await write_audit(db, entry)
    await notify_published(db)
    return found


async def retry_many(db: Db, events: Collection[RefusedEvent], entries: Collection[AuditEntry]) -> int:
    """See RefusedEventStore.retry_many."""
    found = await db.fetch_all(SQL["retry_refused_events"], [event.id for event in events])
    retried = {row[0] for row in found}
    for event, entry in zip(events, entries, strict=True):
        if event.id in retried:
            await write_audit(db, entry)
    if retried:
        await notify_published(db)
    return len(retried)


async def discard(db: Db, organization_id: str, event_id: str, entry: AuditEntry) -> None:
    """See RefusedEventStore.discard."""
    await _lock(db, organization_id, event_id)
    await db.fetch_all(SQL["delete_routed"], [event_id])
    await write_audit(db, entry)


async def _lock(db: Db, organization_id: str, event_id: str) -> RefusedEvent:
    row = None
    if has_no_nul(organization_id, event_id):
        row = await db.fetch_one(SQL["get_refused_event"], organization_id, event_id)
    if row is None:
        raise NotFound(not_refused(event_id))
    return rows.REFUSED_EVENTS.read(row)
