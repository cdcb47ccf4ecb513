"""Upkeep in batches, by one node at a time: what is past its time goes."""

from typing import Final

from packhook.core.audit import of_disabling
from packhook.store.base import RetentionBatch
from packhook.store.postgres.asking import SQL, Db, columns, storable
from packhook.store.postgres.audit import write_audit

LIVE: Final = ("pending", "sending")

Place = tuple[int, str]
"""How far the events were looked through: an instant, and an event's id."""

BEGINNING: Final[Place] = (-(2**62), "")


async def sweep(
    db: Db,
    after: Place,
    *,
    events_before: int,
    keys_before: int,
    audit_before: int,
    now: int,
    limit: int,
    require_verification: bool = False,
) -> tuple[RetentionBatch, Place]:
    """See Store.sweep; and how far it came. Nothing where another node is at it."""
    row = await db.first(SQL["lock_upkeep"])
    if row is None or not row[0]:
        return RetentionBatch(), after
    canceled = await _cancel(db, now, events_before, limit, require_verification)
    events, reached = await _sweep_events(db, after, events_before, limit)
    keys = len(await db.all(SQL["sweep_idempotency_keys"], keys_before, limit))
    entries = len(await db.all(SQL["sweep_audit_entries"], audit_before, limit))
    more = reached != BEGINNING
    swept = RetentionBatch(events=events, idempotency_keys=keys, canceled=canceled, audit_entries=entries, more=more)
    return swept, reached


async def _sweep_events(db: Db, after: Place, before: int, limit: int) -> tuple[int, Place]:
    """Within one stretch, those past retention that are not on their way; the others are passed over.

    From the oldest again once a stretch had none that is old enough.
    """
    stretch = await db.all(SQL["expired_events"], *after, limit)
    old = [row for row in stretch if row[2] < before]
    reached = (stretch[-1][2], stretch[-1][1]) if old and len(stretch) == limit else BEGINNING
    expired = await _still_finished(db, [(row[0], row[1]) for row in old if not row[3]])
    if expired:
        event_ids = [event_id for _, event_id in expired]
        await db.all(SQL["delete_attempts"], event_ids)
        await db.all(SQL["delete_interruptions"], event_ids)
        await db.all(SQL["delete_deliveries"], event_ids)
        await db.all(SQL["delete_event"], *columns(expired, 2))
    return len(expired), reached


async def _still_finished(db: Db, events: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """What is locked is looked at again: a delivery may have been replayed meanwhile, and then its event stays."""
    locked = await db.all(SQL["lock_deliveries"], [event_id for _, event_id in events])
    replayed = {row[0] for row in locked if row[1] in LIVE}
    return [each for each in events if each[1] not in replayed]


async def _cancel(db: Db, now: int, events_before: int, limit: int, require_verification: bool) -> int:
    """What nobody will send any more: its webhook was deleted, or disabled or held for longer than events are kept.

    Found by way of the lanes, so what called them is folded first.
    """
    await db.all(SQL["fold_calls"])
    orphans = await db.all(SQL["cancel_orphans"], now, limit)
    await db.all(SQL["drop_orphan_lanes"])
    expired = await db.all(SQL["cancel_expired"], now, events_before, limit, require_verification)
    return len(orphans) + len(expired)


async def warn_failing(db: Db, failing_for: int, now: int) -> dict[str, int]:
    """See Store.warn_failing."""
    return {row[0]: row[1] for row in await db.all(SQL["warn_failing"], now, failing_for)}


async def disable_failing(db: Db, failing_for: int, now: int, reason: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """See Store.disable_failing; twice, for they are the answer and what was changed."""
    found = await db.all(SQL["disable_failing"], failing_for, storable(reason), now)
    if found:
        await write_audit(db, *(of_disabling(row[0], row[1], reason, now) for row in found))
    disabled = tuple(sorted(row[1] for row in found))
    return disabled, disabled
