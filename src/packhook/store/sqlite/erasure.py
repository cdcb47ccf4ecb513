"""Erase data of events. What SQLite frees in its file is overwritten, which it otherwise is not."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import apsw

from packhook.core.audit import AuditEntry
from packhook.core.errors import NotFound
from packhook.store.erasure import EVENTS_AT_ONCE, ROWS_AT_ONCE, ErasureStep
from packhook.store.sqlite.audit import write_audit
from packhook.store.sqlite.claim import record_interruptions
from packhook.store.sqlite.connection import Connection
from packhook.store.sqlite.organizations import require_organization
from packhook.store.sqlite.queries import SQL, fetch_all, fetch_one
from packhook.store.sqlite.reader import Reader
from packhook.store.sqlite.writer import Writer


class SqliteErasure:
    """See :class:`packhook.store.erasure.ErasureStore` for every promise."""

    def __init__(self, reader: Callable[[], Reader], writer: Callable[[], Writer]) -> None:
        self._reader = reader
        self._writer = writer

    async def find(self, organization_id: str, subject: str, after: str) -> tuple[str, ...]:
        return await self._reader().read_for(organization_id, find, organization_id, subject, after)

    async def erase(
        self, organization_id: str, event_ids: Sequence[str], now: int, entries: Sequence[AuditEntry]
    ) -> ErasureStep:
        return await self._writer().write_for(organization_id, erase, organization_id, event_ids, now, entries)


def find(db: apsw.Connection, organization_id: str, subject: str, after: str) -> tuple[str, ...]:
    """See ErasureStore.find."""
    require_organization(db, organization_id)
    found = fetch_all(db, SQL["find_erasable_events"], (organization_id, subject, after, EVENTS_AT_ONCE))
    return tuple(row[0] for row in found)


def erase(
    db: Connection, organization_id: str, event_ids: Sequence[str], now: int, entries: Sequence[AuditEntry]
) -> ErasureStep:
    """See ErasureStore.erase."""
    require_organization(db, organization_id)
    for event_id in event_ids:
        if fetch_one(db, SQL["get_event"], (organization_id, event_id)) is None:
            raise NotFound(f"no event {event_id!r}")
    erased = canceled = 0
    left = ROWS_AT_ONCE
    with _overwriting(db):
        for event_id, entry in zip(event_ids, entries, strict=True):
            stopped = _cancel(db, event_id, now, left)
            canceled += stopped
            db.execute(SQL["erase_attempts"], (event_id, left - stopped))
            left -= stopped + db.changes()
            if left <= 0:
                return ErasureStep(events=erased, canceled=canceled, more=True)
            db.execute(SQL["delete_routed"], (organization_id, event_id))
            if fetch_one(db, SQL["erase_event"], (now, organization_id, event_id)) is not None:
                erased += 1
                write_audit(db, entry)
    return ErasureStep(events=erased, canceled=canceled, more=False)


def _cancel(db: Connection, event_id: str, now: int, limit: int) -> int:
    """Cancel live deliveries, and return how many."""
    live = fetch_all(db, SQL["list_live_deliveries"], (event_id, limit))
    db.executemany(SQL["cancel_delivery"], [(now, row[0]) for row in live])
    record_interruptions(db, [(id_, count + 1) for _, id_, status, count in live if status == "sending"], now)
    return len(live)


@contextmanager
def _overwriting(db: apsw.Connection) -> Iterator[None]:
    """Make SQLite overwrite with zeros what it frees in here."""
    db.execute("PRAGMA secure_delete = ON")
    try:
        yield
    finally:
        db.execute("PRAGMA secure_delete = OFF")
