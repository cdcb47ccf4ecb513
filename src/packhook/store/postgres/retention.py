"""Apply retention in batches, by one node at a time: delete what is past its time, cancel what will never be sent."""

from typing import Final

from packhook.store.base import RetentionBatch
from packhook.store.postgres.queries import SQL, Db, to_arrays

_LIVE: Final = ("pending", "sending")

EventPosition = tuple[int, str]
"""A place in the order of events by age: ``created_at`` and the id."""

START: Final[EventPosition] = (-(2**62), "")


async def apply_retention(
    db: Db,
    after: EventPosition,
    *,
    events_before: int,
    keys_before: int,
    audit_before: int,
    now: int,
    limit: int,
) -> tuple[RetentionBatch, EventPosition]:
    """See Store.apply_retention; return where to go on, which is the start again once a range has nothing old enough.

    Nothing is done where another node is doing it.
    """
    row = await db.fetch_one(SQL["lock_retention"])
    if row is None or not row[0]:
        return RetentionBatch(), after
    canceled = await _cancel(db, now, events_before, limit)
    events, reached = await _delete_events(db, after, events_before, limit)
    keys = await db.fetch_all(SQL["delete_expired_idempotency_keys"], keys_before, limit)
    entries = await db.fetch_all(SQL["delete_expired_audit_entries"], audit_before, limit)
    batch = RetentionBatch(
        events=events,
        idempotency_keys=len(keys),
        canceled=canceled,
        audit_entries=len(entries),
        more=reached != START,
    )
    return batch, reached


async def _delete_events(db: Db, after: EventPosition, before: int, limit: int) -> tuple[int, EventPosition]:
    """Delete the events of one range that are past retention and have no live delivery; return where to go on."""
    found = await db.fetch_all(SQL["expired_events"], *after, limit)
    old = [row for row in found if row[2] < before]
    reached = (found[-1][2], found[-1][1]) if old and len(found) == limit else START
    expired = await _still_finished(db, [(row[0], row[1]) for row in old if not row[3]])
    if expired:
        event_ids = [event_id for _, event_id in expired]
        await db.fetch_all(SQL["delete_attempts"], event_ids)
        await db.fetch_all(SQL["delete_interruptions"], event_ids)
        await db.fetch_all(SQL["delete_deliveries"], event_ids)
        await db.fetch_all(SQL["delete_event"], *to_arrays(expired, 2))
    return len(expired), reached


async def _still_finished(db: Db, events: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Lock the deliveries and check them again: one may have been retried meanwhile, and then its event stays."""
    locked = await db.fetch_all(SQL["lock_deliveries"], [event_id for _, event_id in events])
    retried = {event_id for event_id, status in locked if status in _LIVE}
    return [(organization_id, event_id) for organization_id, event_id in events if event_id not in retried]


async def _cancel(db: Db, now: int, events_before: int, limit: int) -> int:
    """Cancel deliveries whose webhook was deleted, or was disabled or unverified for longer than events are kept.

    They are found by way of the lanes, so wake-ups are merged first.
    """
    await db.fetch_all(SQL["merge_lane_wakeups"])
    orphans = await db.fetch_all(SQL["cancel_orphans"], now, limit)
    await db.fetch_all(SQL["delete_orphan_lanes"])
    expired = await db.fetch_all(SQL["cancel_expired"], now, events_before, limit, db.config.require_verification)
    return len(orphans) + len(expired)
