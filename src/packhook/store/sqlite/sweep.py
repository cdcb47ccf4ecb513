"""Upkeep in batches: what is past its time goes."""

from collections.abc import Iterator

import apsw

from packhook.store.base import Swept
from packhook.store.sqlite.asking import SQL


def sweep(db: apsw.Connection, item: tuple[int, int, int, int]) -> Swept:
    """See Store.sweep; the item is (events_before, keys_before, now, limit)."""
    events_before, keys_before, now, limit = item
    return Swept(
        events=_sweep_events(db, events_before, limit),
        idempotency_keys=_sweep_keys(db, keys_before, limit),
        canceled=_cancel_orphans(db, now, limit),
    )


def _sweep_events(db: apsw.Connection, before: int, limit: int) -> int:
    expired = [found for found, _ in zip(_expired(db, before), range(limit), strict=False)]
    for seq, event_id in expired:
        db.execute(SQL["delete_attempts"], (event_id,))
        db.execute(SQL["delete_deliveries"], (event_id,))
        db.execute(SQL["delete_event"], (seq,))
    return len(expired)


def _expired(db: apsw.Connection, before: int) -> Iterator[tuple[int, str]]:
    """Oldest first; reads no further than the first event that is young enough to stay."""
    for seq, event_id, created_at, on_its_way in db.execute(SQL["expired_events"]):
        if created_at >= before:
            return
        if not on_its_way:
            yield seq, event_id


def _sweep_keys(db: apsw.Connection, before: int, limit: int) -> int:
    db.execute(SQL["sweep_idempotency_keys"], (before, limit))
    return db.changes()


def _cancel_orphans(db: apsw.Connection, now: int, limit: int) -> int:
    canceled = len(list(db.execute(SQL["cancel_orphans"], (now, limit))))
    db.execute(SQL["drop_orphan_lanes"])
    return canceled


def disable_failing(db: apsw.Connection, item: tuple[int, int, str]) -> tuple[str, ...]:
    """See Store.disable_failing; the item is (failing_before, now, reason)."""
    failing_before, now, reason = item
    found = tuple(row[0] for row in list(db.execute(SQL["failing_webhooks"], (failing_before,))))
    db.executemany(SQL["disable_webhook"], ((reason, now, webhook_id) for webhook_id in found))
    return found
