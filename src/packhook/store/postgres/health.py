"""Read the health of webhooks and their backlog, and keep the last failures."""

from collections.abc import Sequence

from packhook.core.errors import NotFound
from packhook.core.health import MAX_BACKLOG, Backlog, HealthFacts
from packhook.core.model import AttemptResult
from packhook.store import rows
from packhook.store.base import Page, PageRequest
from packhook.store.filters import health_conditions
from packhook.store.postgres.queries import SQL, Db, fetch_page, to_arrays
from packhook.store.statistics import FactsFilter


async def record_last_failures(db: Db, results: Sequence[AttemptResult]) -> None:
    """Keep the cause of each webhook's last failure among these results."""
    failed = rows.last_failures(results)
    if failed:
        await db.fetch_all(SQL["record_last_failure"], *to_arrays(failed, 4))


async def webhook_health(db: Db, organization_id: str, webhook_id: str) -> HealthFacts:
    """See Store.webhook_health."""
    found = await fetch_page(
        db,
        "list_webhook_health",
        health_conditions(organization_id, webhook_id),
        PageRequest(limit=1),
        rows.health_facts,
        newest_first=False,
    )
    if not found.items:
        raise NotFound(f"no webhook {webhook_id!r}")
    return found.items[0]


async def list_webhook_health(db: Db, page: PageRequest, where: FactsFilter) -> Page[HealthFacts]:
    """See Store.list_webhook_health."""
    statement = "list_failing_health" if where.failing else "list_webhook_health"
    conditions = health_conditions(where.organization_id, failing=where.failing)
    return await fetch_page(db, statement, conditions, page, rows.health_facts, newest_first=False)


async def backlog(db: Db, webhook_id: str, limit: int = MAX_BACKLOG) -> Backlog:
    """See Store.backlog."""
    return rows.backlog((await db.fetch_all(SQL["get_backlog"], webhook_id, limit + 1))[0], limit)
