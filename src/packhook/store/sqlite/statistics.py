"""Sum the counts of attempts, and apply retention to them. ``record`` counts."""

from collections.abc import Iterable, Sequence
from typing import Any

import apsw

from packhook.core import statistics
from packhook.core.statistics import AttemptCount
from packhook.store import rows
from packhook.store.sqlite.queries import SQL, fetch_all


def attempt_counts(
    db: apsw.Connection, webhook_id: str | None, steps: Sequence[int], until: int
) -> dict[int, tuple[AttemptCount, ...]]:
    """See Store.attempt_counts."""
    keys = list(statistics.bucket_keys(steps, until, _oldest_fine(db)))
    found = fetch_all(db, SQL["sum_statistics"], (rows.to_json(keys), *statistics.sources(webhook_id)))
    return statistics.by_step(found)


def orphan_statistics(db: apsw.Connection, webhook_ids: Iterable[str], now: int) -> None:
    """Let retention delete the statistics of webhooks that were deleted."""
    db.executemany(SQL["orphan_statistics"], [(webhook_id, now) for webhook_id in webhook_ids])


def apply_retention(db: apsw.Connection, now: int, limit: int) -> tuple[int, bool]:
    """Join and delete one batch, at most ``limit`` of each kind; return how many rows, and whether there may be more.

    More may be left of deleted webhooks, which may have no rows at all.
    """
    batch = statistics.roll_up_before(now), limit
    db.execute(SQL["roll_up_statistics"], batch)
    changes = _changes(db, "delete_rolled_up_statistics", batch)
    changes += _changes(db, "delete_expired_statistics", (now - statistics.KEPT_FOR, limit))
    orphaned = fetch_all(db, SQL["list_orphaned_statistics"], (now - statistics.LATE_FOR, statistics.ORPHANS_AT_ONCE))
    keys = rows.to_json(statistics.all_keys(now, _oldest_fine(db))) if orphaned else ""
    for (webhook_id,) in orphaned:
        changes += _changes(db, "delete_statistics", (keys, webhook_id))
        db.execute(SQL["delete_last_failure"], (webhook_id,))
        db.execute(SQL["delete_filter_errors"], (webhook_id,))
        db.execute(SQL["forget_orphaned_statistics"], (webhook_id,))
    return changes, len(orphaned) == statistics.ORPHANS_AT_ONCE


def _changes(db: apsw.Connection, name: str, values: tuple[Any, ...]) -> int:
    db.execute(SQL[name], values)
    return db.changes()


def _oldest_fine(db: apsw.Connection) -> int | None:
    found: int | None = fetch_all(db, SQL["oldest_fine_statistics"])[0][0]
    return found
