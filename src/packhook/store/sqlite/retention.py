"""Apply retention in batches: delete what is past its time, cancel what will never be sent."""

from typing import Any, Final

import apsw
import msgspec

from packhook.store.retention import RANGES_AT_ONCE, RetentionBatch, Sweep
from packhook.store.sqlite import replays, statistics
from packhook.store.sqlite.claim import expire_direct_leases
from packhook.store.sqlite.connection import Connection
from packhook.store.sqlite.queries import SQL, fetch_all

MAX_ROWS: Final = 1_000
"""How many rows of deliveries and attempts a batch deletes: an event may have tens of thousands."""


class RetentionCursor:
    """Remember how far the events were read."""

    def __init__(self) -> None:
        self._sweep = Sweep(start=0, after=0, first=0)

    def apply(
        self, db: Connection, *, events_before: int, keys_before: int, audit_before: int, now: int, limit: int
    ) -> RetentionBatch:
        """See Store.apply_retention."""
        canceled = _cancel(db, now, events_before, limit)
        self._sweep = self._sweep.with_own({row[0]: row[1] for row in fetch_all(db, SQL["list_retentions"])})
        events, is_cut = self._delete_events(db, now, events_before, limit)
        counts, more_counts = statistics.apply_retention(db, now, limit)
        return RetentionBatch(
            events=events,
            idempotency_keys=_delete_by_age(db, "delete_expired_idempotency_keys", keys_before, limit),
            audit_entries=_delete_by_age(db, "delete_expired_audit_entries", audit_before, limit),
            canceled=canceled,
            replays=replays.delete_old(db, events_before, keys_before, limit),
            statistics=counts,
            portal_sessions=_delete_by_age(db, "delete_expired_portal_sessions", now, limit),
            operator_sessions=_delete_by_age(db, "delete_expired_operator_sessions", now, limit),
            more=is_cut or more_counts or not self._sweep.is_new,
        )

    def _delete_events(self, db: apsw.Connection, now: int, events_before: int, limit: int) -> tuple[int, bool]:
        """Delete the events of one range that are past retention and have no live delivery; skip the others.

        Return how many, and whether it ended early: then the next batch begins with the event that has rows left.
        """
        for _ in range(RANGES_AT_ONCE):
            before = self._sweep.before(now, events_before)
            found = self._read_range(db, before, limit)
            old = [row for row in found if row[2] < before]
            expired = [(row[0], row[1]) for row in old if not row[3] and not self._sweep.is_skipped(row[4])]
            left = MAX_ROWS
            for deleted, (rowid, event_id) in enumerate(expired):
                left -= _delete_rows_of(db, event_id, left)
                if left <= 0:
                    self._sweep = msgspec.structs.replace(self._sweep, after=rowid - 1, is_new=False)
                    return deleted, True
                (gone,) = fetch_all(db, SQL["delete_event"], (rowid,))
                db.execute(SQL["set_feed_start"], gone)
                db.execute(SQL["delete_routed"], (gone[0], event_id))  # if its deliveries were given up
            reached = found[-1][0] if old and len(found) == limit else None
            self._sweep = self._sweep.next([(row[0], row[4]) for row in old], reached)
            if expired or self._sweep.is_new:
                return len(expired), False
        return 0, False

    def _read_range(self, db: apsw.Connection, before: int, limit: int) -> list[Any]:
        sweep = self._sweep
        if not sweep.organization:
            return fetch_all(db, SQL["expired_events"], (sweep.after, limit))
        values = (sweep.organization, sweep.after, before, limit)
        return fetch_all(db, SQL["expired_events_of_organization"], values)


def _delete_rows_of(db: apsw.Connection, event_id: str, limit: int) -> int:
    """Delete attempts, and once there are none deliveries; return how many: ``limit`` where some may be left."""
    db.execute(SQL["delete_attempts"], (event_id, limit))
    deleted = db.changes()
    if deleted < limit:
        db.execute(SQL["delete_interruptions"], (event_id,))
        db.execute(SQL["delete_deliveries"], (event_id, limit - deleted))
        deleted += db.changes()
    return deleted


def _delete_by_age(db: apsw.Connection, name: str, before: int, limit: int) -> int:
    db.execute(SQL[name], (before, limit))
    return db.changes()


def _cancel(db: Connection, now: int, events_before: int, limit: int) -> int:
    """Cancel deliveries whose webhook was deleted, or was disabled or unverified for longer than events are kept."""
    expire_direct_leases(db, now)
    orphans = fetch_all(db, SQL["cancel_orphans"], (now, limit))
    db.execute(SQL["delete_orphan_lanes"])
    expired = fetch_all(db, SQL["cancel_expired"], (now, events_before, limit, db.store_config.require_verification))
    return len(orphans) + len(expired)
