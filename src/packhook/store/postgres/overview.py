"""Implement the OverviewStore on PostgreSQL: each method names its work; all of them read."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from packhook.core.health import FAILURES_TO_FAIL
from packhook.core.model import Delivery, Webhook
from packhook.core.overview import Figures
from packhook.store import rows
from packhook.store.base import DeliveryFilter, Page, PageRequest
from packhook.store.filters import instance_delivery_conditions, instance_webhook_conditions
from packhook.store.postgres.queries import HINTS, SQL, Db, fetch_page

T = TypeVar("T")


class _Read(Protocol):
    """Run work on a connection for reads, with the arguments that follow."""

    def __call__(self, work: Callable[..., Awaitable[T]], *args: Any) -> Awaitable[T]:  # noqa: ANN401 the work's own
        """Return the result of the work."""
        ...


class PostgresOverview:
    """See :class:`packhook.store.overview.OverviewStore` for every promise."""

    def __init__(self, read: _Read) -> None:
        self._read = read

    async def figures(self, now: int) -> Figures:
        return await self._read(read_figures, now)

    async def list_webhooks(self, page: PageRequest) -> Page[Webhook]:
        return await self._read(list_webhooks, page)

    async def list_deliveries(self, page: PageRequest, where: DeliveryFilter) -> Page[Delivery]:
        return await self._read(list_deliveries, page, where)


async def list_webhooks(db: Db, page: PageRequest) -> Page[Webhook]:
    """See OverviewStore.list_webhooks."""
    return await fetch_page(
        db, "list_webhooks", instance_webhook_conditions(), page, rows.WEBHOOKS.read, newest_first=False
    )


async def list_deliveries(db: Db, page: PageRequest, where: DeliveryFilter) -> Page[Delivery]:
    """See OverviewStore.list_deliveries."""
    conditions = instance_delivery_conditions(where, HINTS)
    return await fetch_page(db, "list_deliveries", conditions, page, rows.delivery, newest_first=True)


async def read_figures(db: Db, now: int) -> Figures:
    """See OverviewStore.figures."""
    due = await db.fetch_all(SQL["count_due"], now, FAILURES_TO_FAIL)
    webhooks = await db.fetch_all(SQL["count_webhooks_by_condition"], FAILURES_TO_FAIL)
    refused = (await db.fetch_all(SQL["count_refused_events"]))[0][0]
    return rows.figures(now, due, webhooks, refused, max(1, (await db.fetch_all(SQL["count_nodes"]))[0][0]))
