"""Read the health of webhooks and their backlog, and keep the last failures."""

from collections.abc import Sequence

import apsw

from packhook.core.errors import NotFound
from packhook.core.health import MAX_BACKLOG, Backlog, HealthFacts
from packhook.core.model import AttemptResult
from packhook.store import rows
from packhook.store.base import Page, PageRequest
from packhook.store.filters import health_conditions
from packhook.store.sqlite.queries import SQL, fetch_all, fetch_page
from packhook.store.statistics import FactsFilter


def record_last_failures(db: apsw.Connection, results: Sequence[AttemptResult]) -> None:
    """Keep the cause of each webhook's last failure among these results."""
    db.executemany(SQL["record_last_failure"], rows.last_failures(results))


def webhook_health(db: apsw.Connection, organization_id: str, webhook_id: str) -> HealthFacts:
    """See Store.webhook_health."""
    found = fetch_page(
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


def list_webhook_health(db: apsw.Connection, page: PageRequest, where: FactsFilter) -> Page[HealthFacts]:
    """See Store.list_webhook_health."""
    statement = "list_failing_health" if where.failing else "list_webhook_health"
    return fetch_page(
        db,
        statement,
        health_conditions(where.organization_id, failing=where.failing),
        page,
        rows.health_facts,
        newest_first=False,
    )


def backlog(db: apsw.Connection, webhook_id: str, limit: int = MAX_BACKLOG) -> Backlog:
    """See Store.backlog."""
    values = {"webhook_id": webhook_id, "limit": limit + 1}
    return rows.backlog(fetch_all(db, SQL["get_backlog"], values)[0], limit)
