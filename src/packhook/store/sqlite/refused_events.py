"""Implement the RefusedEventStore on SQLite."""

from collections.abc import Callable, Collection

import apsw

from packhook.core.audit import AuditEntry
from packhook.core.errors import NotFound
from packhook.core.fairness import OF_THE_NODE
from packhook.store import rows
from packhook.store.base import Page, PageRequest
from packhook.store.filters import refused_event_conditions
from packhook.store.refused_events import RefusedEvent, RefusedEventFilter, not_refused
from packhook.store.sqlite.audit import write_audit
from packhook.store.sqlite.connection import Connection
from packhook.store.sqlite.queries import SQL, fetch_one, fetch_page
from packhook.store.sqlite.reader import Reader
from packhook.store.sqlite.writer import Writer


class SqliteRefusedEvents:
    """See :class:`packhook.store.refused_events.RefusedEventStore` for every promise."""

    def __init__(self, reader: Callable[[], Reader], writer: Callable[[], Writer]) -> None:
        self._reader = reader
        self._writer = writer

    async def list(self, page: PageRequest, where: RefusedEventFilter) -> Page[RefusedEvent]:
        return await self._reader().read_for(where.organization_id or OF_THE_NODE, list_refused, page, where)

    async def retry(self, organization_id: str, event_id: str, entry: AuditEntry) -> RefusedEvent:
        return await self._writer().write_for(organization_id, retry, organization_id, event_id, entry)

    async def retry_many(self, events: Collection[RefusedEvent], entries: Collection[AuditEntry]) -> int:
        return await self._writer().write_for(OF_THE_NODE, retry_many, events, entries)

    async def discard(self, organization_id: str, event_id: str, entry: AuditEntry) -> None:
        await self._writer().write_for(organization_id, discard, organization_id, event_id, entry)


def list_refused(db: apsw.Connection, page: PageRequest, where: RefusedEventFilter) -> Page[RefusedEvent]:
    """See RefusedEventStore.list."""
    conditions = refused_event_conditions(where)
    return fetch_page(db, "list_refused_events", conditions, page, rows.REFUSED_EVENTS.read, newest_first=True)


def retry(db: Connection, organization_id: str, event_id: str, entry: AuditEntry) -> RefusedEvent:
    """See RefusedEventStore.retry."""
    found = _get(db, organization_id, event_id)
    db.execute(SQL["retry_refused_event"], (event_id,))
    write_audit(db, entry)
    db.outbox_filled = True
    db.wake_outbox()
    return found


def retry_many(db: Connection, events: Collection[RefusedEvent], entries: Collection[AuditEntry]) -> int:
    """See RefusedEventStore.retry_many."""
    retried = 0
    for event, entry in zip(events, entries, strict=True):
        db.execute(SQL["retry_refused_event"], (event.id,))
        if db.changes():
            write_audit(db, entry)
            retried += 1
    if retried:
        db.outbox_filled = True
        db.wake_outbox()
    return retried


def discard(db: Connection, organization_id: str, event_id: str, entry: AuditEntry) -> None:
    """See RefusedEventStore.discard."""
    _get(db, organization_id, event_id)
    db.execute(SQL["delete_routed"], (organization_id, event_id))
    write_audit(db, entry)


def _get(db: Connection, organization_id: str, event_id: str) -> RefusedEvent:
    row = fetch_one(db, SQL["get_refused_event"], (organization_id, event_id))
    if row is None:
        raise NotFound(not_refused(event_id))
    return rows.REFUSED_EVENTS.read(row)
