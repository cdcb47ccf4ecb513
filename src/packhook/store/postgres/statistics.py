"""Sum the counts of attempts, and apply retention to them. ``settle_delivery`` counts."""

from collections.abc import Collection, Sequence

from packhook.core import statistics
from packhook.core.statistics import AttemptCount
from packhook.store.postgres.queries import SQL, Db, has_no_nul, to_arrays


async def attempt_counts(
    db: Db, webhook_id: str | None, steps: Sequence[int], until: int
) -> dict[int, tuple[AttemptCount, ...]]:
    """See Store.attempt_counts."""
    sources = statistics.sources(webhook_id)
    if not has_no_nul(*sources):
        return {}
    keys = statistics.bucket_keys(steps, until, await _oldest_fine(db))
    return statistics.by_step(await db.fetch_all(SQL["sum_statistics"], *to_arrays(keys, 3), *sources))


async def orphan_statistics(db: Db, webhook_ids: Collection[str], now: int) -> None:
    """Let retention delete the statistics of webhooks that were deleted."""
    await db.fetch_all(SQL["orphan_statistics"], list(webhook_ids), now)


async def apply_retention(db: Db, now: int, limit: int) -> tuple[int, bool]:
    """Join and delete one batch, at most ``limit`` of each kind; return how many rows, and whether there may be more.

    More may be left of deleted webhooks, which may have no rows at all.
    """
    ((moved,),) = await db.fetch_all(SQL["roll_up_statistics"], statistics.roll_up_before(now), limit)
    changes = int(moved) + len(await db.fetch_all(SQL["delete_expired_statistics"], now - statistics.KEPT_FOR, limit))
    orphaned = await db.fetch_all(
        SQL["list_orphaned_statistics"], now - statistics.LATE_FOR, statistics.ORPHANS_AT_ONCE
    )
    keys = to_arrays(statistics.all_keys(now, await _oldest_fine(db)), 2) if orphaned else ()
    for (webhook_id,) in orphaned:
        changes += len(await db.fetch_all(SQL["delete_statistics"], *keys, webhook_id))
        await db.fetch_all(SQL["delete_last_failure"], webhook_id)
        await db.fetch_all(SQL["delete_filter_errors"], webhook_id)
        await db.fetch_all(SQL["forget_orphaned_statistics"], webhook_id)
    return changes, len(orphaned) == statistics.ORPHANS_AT_ONCE


async def _oldest_fine(db: Db) -> int | None:
    ((found,),) = await db.fetch_all(SQL["oldest_fine_statistics"])
    return None if found is None else int(found)
