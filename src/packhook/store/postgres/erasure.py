"""Erase data of events. Other nodes may publish, send, retry and replay at the same time.

A transaction that makes a delivery live has its event locked in share mode, or deletes its outbox entry. So once the
event is locked here, no other delivery of it becomes live.
"""

from collections.abc import Sequence

from packhook.core.audit import AuditEntry
from packhook.core.errors import NotFound
from packhook.store.erasure import EVENTS_AT_ONCE, ROWS_AT_ONCE, ErasureStep
from packhook.store.postgres.audit import write_audit
from packhook.store.postgres.claim import record_interruptions
from packhook.store.postgres.organizations import get_organization
from packhook.store.postgres.queries import SQL, Db, RunFor, has_no_nul, to_arrays


class PostgresErasure:
    """See :class:`packhook.store.erasure.ErasureStore` for every promise."""

    def __init__(self, read: RunFor, write: RunFor) -> None:
        self._read = read
        self._write = write

    async def find(self, organization_id: str, subject: str, after: str) -> tuple[str, ...]:
        return await self._read(organization_id, find, organization_id, subject, after)

    async def erase(
        self, organization_id: str, event_ids: Sequence[str], now: int, entries: Sequence[AuditEntry]
    ) -> ErasureStep:
        return await self._write(organization_id, erase, organization_id, event_ids, now, entries)


async def find(db: Db, organization_id: str, subject: str, after: str) -> tuple[str, ...]:
    """See ErasureStore.find."""
    await get_organization(db, organization_id)
    if not has_no_nul(subject):
        return ()
    found = await db.fetch_all(SQL["find_erasable_events"], organization_id, subject, after, EVENTS_AT_ONCE)
    return tuple(row[0] for row in found)


async def erase(
    db: Db, organization_id: str, event_ids: Sequence[str], now: int, entries: Sequence[AuditEntry]
) -> ErasureStep:
    """See ErasureStore.erase."""
    await _require_events(db, organization_id, event_ids)
    await db.fetch_all(SQL["delete_routed"], list(event_ids))
    canceled = await _cancel(db, event_ids, now, ROWS_AT_ONCE)
    received = await db.fetch_all(SQL["erase_attempts"], list(event_ids), ROWS_AT_ONCE - canceled)
    if canceled + len(received) >= ROWS_AT_ONCE:
        return ErasureStep(events=0, canceled=canceled, more=True)
    erased = {row[0] for row in await db.fetch_all(SQL["erase_event"], now, organization_id, list(event_ids))}
    canceled += await _cancel(db, event_ids, now, None)  # what became live before this had the lock
    await db.fetch_all(SQL["erase_attempts"], list(event_ids), None)
    for event_id, entry in zip(event_ids, entries, strict=True):
        if event_id in erased:
            await write_audit(db, entry)
    return ErasureStep(events=len(erased), canceled=canceled, more=False)


async def _require_events(db: Db, organization_id: str, event_ids: Sequence[str]) -> None:
    await get_organization(db, organization_id)
    wanted = [(organization_id, event_id) for event_id in event_ids if has_no_nul(event_id)]
    found = {row[0] for row in await db.fetch_all(SQL["find_events"], *to_arrays(wanted, 2))}
    for event_id in event_ids:
        if event_id not in found:
            raise NotFound(f"no event {event_id!r}")


async def _cancel(db: Db, event_ids: Sequence[str], now: int, limit: int | None) -> int:
    """Cancel live deliveries, and return how many; no limit: all."""
    live = await db.fetch_all(SQL["lock_live_deliveries"], list(event_ids), limit)
    if live:
        await db.fetch_all(SQL["cancel_delivery"], now, *to_arrays([row[:2] for row in map(tuple, live)], 2))
        await record_interruptions(db, [(id_, count + 1) for _, id_, status, count in live if status == "sending"], now)
    return len(live)
