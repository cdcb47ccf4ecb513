"""Upkeep in batches: what is past its time goes."""

from dataclasses import dataclass

import apsw

from packhook.store.base import RetentionBatch
from packhook.store.sqlite.asking import SQL
from packhook.store.sqlite.claim import expire_handed
from packhook.store.sqlite.webhooks import disable_webhook


@dataclass(slots=True)
class Broom:
    """How far the events were looked through; from the oldest again once a stretch had none that is old enough."""

    after: int = 0
    require_verification: bool = False

    def sweep(self, db: apsw.Connection, item: tuple[int, int, int, int, int]) -> RetentionBatch:
        """See Store.sweep; the item is (events_before, keys_before, audit_before, now, limit)."""
        events_before, keys_before, audit_before, now, limit = item
        canceled = _cancel(db, now, events_before, limit, self.require_verification)
        return RetentionBatch(
            events=self._sweep_events(db, events_before, limit),
            idempotency_keys=_sweep_by_age(db, SQL["sweep_idempotency_keys"], keys_before, limit),
            audit_entries=_sweep_by_age(db, SQL["sweep_audit_entries"], audit_before, limit),
            canceled=canceled,
            more=self.after > 0,
        )

    def _sweep_events(self, db: apsw.Connection, before: int, limit: int) -> int:
        """Within one stretch, those past retention that are not on their way; the others are passed over."""
        stretch = list(db.execute(SQL["expired_events"], (self.after, limit)))
        old = [row for row in stretch if row[3] < before]
        self.after = stretch[-1][0] if old and len(stretch) == limit else 0
        expired = [row for row in old if not row[4]]
        if expired:
            db.execute(SQL["keep_numbers"])
        for seq, organization_id, event_id, *_ in expired:
            db.execute(SQL["delete_attempts"], (event_id,))
            db.execute(SQL["delete_interruptions"], (event_id,))
            db.execute(SQL["delete_deliveries"], (event_id,))
            db.execute(SQL["unfile_event"], (organization_id, event_id))
            db.execute(SQL["delete_event"], (seq,))
        return len(expired)


def _sweep_by_age(db: apsw.Connection, statement: str, before: int, limit: int) -> int:
    db.execute(statement, (before, limit))
    return db.changes()


def _cancel(db: apsw.Connection, now: int, events_before: int, limit: int, require_verification: bool) -> int:
    """What nobody will send any more: its webhook was deleted, or disabled or held for longer than events are kept."""
    expire_handed(db, now)
    orphans = list(db.execute(SQL["cancel_orphans"], (now, limit)))
    db.execute(SQL["drop_orphan_lanes"])
    expired = list(db.execute(SQL["cancel_expired"], (now, events_before, limit, require_verification)))
    return len(orphans) + len(expired)


def warn_failing(db: apsw.Connection, item: tuple[int, int]) -> dict[str, int]:
    """See Store.warn_failing; the item is (failing_for, now)."""
    failing_for, now = item
    return dict(list(db.execute(SQL["warn_failing"], (now, failing_for))))


def disable_failing(db: apsw.Connection, item: tuple[int, int, str]) -> tuple[str, ...]:
    """See Store.disable_failing; the item is (failing_for, now, reason)."""
    failing_for, now, reason = item
    found = tuple(row[0] for row in list(db.execute(SQL["failing_webhooks"], (failing_for,))))
    for webhook_id in found:
        disable_webhook(db, webhook_id, reason, now)
    return found
