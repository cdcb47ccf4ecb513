"""Apply retention in batches, by one node at a time: delete what is past its time, cancel what will never be sent."""

from collections.abc import Mapping
from typing import Final

from packhook.store.postgres import replays, statistics
from packhook.store.postgres.queries import SQL, Db, to_arrays
from packhook.store.retention import RANGES_AT_ONCE, RetentionBatch, Sweep
from packhook.store.rows import Row

_LIVE: Final = ("pending", "sending")

MAX_DELIVERIES: Final = 5_000
"""Of how many deliveries a batch deletes the rows: an event may have tens of thousands."""

EventPosition = tuple[int, str]
"""A place in the order of events by age: ``created_at`` and the id."""

_START: Final[EventPosition] = (-(2**62), "")

EventSweep = Sweep[EventPosition]
START: Final = EventSweep(start=_START, after=_START, first=_START)


async def apply_retention(
    db: Db,
    sweep: EventSweep,
    *,
    events_before: int,
    keys_before: int,
    audit_before: int,
    now: int,
    limit: int,
) -> tuple[RetentionBatch, EventSweep]:
    """See Store.apply_retention; return where to go on.

    Nothing is done where another node is doing it.
    """
    row = await db.fetch_one(SQL["lock_retention"])
    if row is None or not row[0]:
        return RetentionBatch(), sweep
    canceled = await _cancel(db, now, events_before, limit)
    sweep = sweep.with_own({row[0]: row[1] for row in await db.fetch_all(SQL["list_retentions"])})
    events, sweep, is_cut = await _delete_events(db, sweep, now, events_before, limit)
    keys = await db.fetch_all(SQL["delete_expired_idempotency_keys"], keys_before, limit)
    entries = await db.fetch_all(SQL["delete_expired_audit_entries"], audit_before, limit)
    counts, more_counts = await statistics.apply_retention(db, now, limit)
    batch = RetentionBatch(
        events=events,
        idempotency_keys=len(keys),
        canceled=canceled,
        audit_entries=len(entries),
        replays=await replays.delete_old(db, events_before, keys_before, limit),
        statistics=counts,
        portal_sessions=len(await db.fetch_all(SQL["delete_expired_portal_sessions"], now, limit)),
        operator_sessions=len(await db.fetch_all(SQL["delete_expired_operator_sessions"], now, limit)),
        more=is_cut or more_counts or not sweep.is_new,
    )
    return batch, sweep


async def _delete_events(
    db: Db, sweep: EventSweep, now: int, events_before: int, limit: int
) -> tuple[int, EventSweep, bool]:
    """Delete the events of one range that are past retention and have no live delivery.

    Return how many, where to go on, and whether it ended early: then the next batch has the same range.
    """
    for _ in range(RANGES_AT_ONCE):
        before = sweep.before(now, events_before)
        found = await _read_range(db, sweep, before, limit)
        old = [row for row in found if row[2] < before]
        expired = {row[1]: row[0] for row in old if not row[3] and not sweep.is_skipped(row[0])}
        deleted, is_cut = await _delete(db, expired)
        if is_cut:
            return deleted, sweep, True
        reached = (found[-1][2], found[-1][1]) if old and len(found) == limit else None
        sweep = sweep.next([((row[2], row[1]), row[0]) for row in old], reached)
        if expired or sweep.is_new:
            return deleted, sweep, False
    return 0, sweep, False


async def _read_range(db: Db, sweep: EventSweep, before: int, limit: int) -> list[Row]:
    if not sweep.organization:
        return await db.fetch_all(SQL["expired_events"], *sweep.after, limit)
    values = (sweep.organization, sweep.after[1], before, limit)
    return await db.fetch_all(SQL["expired_events_of_organization"], *values)


async def _delete(db: Db, expired: Mapping[str, str]) -> tuple[int, bool]:
    """Delete events, by their ids with their organizations; return how many, and whether it ended early."""
    if not expired:
        return 0, False
    locked = await db.fetch_all(SQL["lock_deliveries"], list(expired), MAX_DELIVERIES)
    is_cut = len(locked) == MAX_DELIVERIES
    retried = {row[0] for row in locked if row[1] in _LIVE}  # since they were selected: then the event stays
    finished = [(row[2], row[3]) for row in locked if row[0] not in retried]
    whole = [id_ for id_ in expired if id_ not in retried and not (is_cut and id_ >= locked[-1][0])]
    await db.fetch_all(SQL["delete_attempts"], [id_ for _, id_ in finished])
    await db.fetch_all(SQL["delete_interruptions"], [id_ for _, id_ in finished])
    await db.fetch_all(SQL["delete_deliveries"], *to_arrays(finished, 2))
    await db.fetch_all(SQL["delete_routed"], whole)  # of those whose deliveries were given up
    await db.fetch_all(SQL["delete_event"], *to_arrays([(expired[id_], id_) for id_ in whole], 2))
    return len(whole), is_cut


async def _cancel(db: Db, now: int, events_before: int, limit: int) -> int:
    """Cancel deliveries whose webhook was deleted, or was disabled or unverified for longer than events are kept.

    They are found by way of the lanes, so wake-ups are merged first.
    """
    await db.fetch_all(SQL["merge_lane_wakeups"])
    orphans = await db.fetch_all(SQL["cancel_orphans"], now, limit)
    await db.fetch_all(SQL["delete_orphan_lanes"])
    expired = await db.fetch_all(SQL["cancel_expired"], now, events_before, limit, db.config.require_verification)
    return len(orphans) + len(expired)
