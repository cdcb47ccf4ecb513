"""Implement the OverviewStore on SQLite: each method names its work; all of them read."""

from collections.abc import Callable

import apsw

from packhook.core.health import FAILURES_TO_FAIL
from packhook.core.model import Delivery, Webhook
from packhook.core.overview import Figures, NodeStatus
from packhook.store import rows
from packhook.store.base import DeliveryFilter, Page, PageRequest
from packhook.store.filters import instance_delivery_conditions, instance_webhook_conditions
from packhook.store.overview import ANY_WEBHOOK, InstanceWebhookFilter
from packhook.store.sqlite.queries import HINTS, SQL, fetch_all, fetch_page
from packhook.store.sqlite.reader import Reader


class SqliteOverview:
    """See :class:`packhook.store.overview.OverviewStore` for every promise."""

    def __init__(self, reader: Callable[[], Reader]) -> None:
        self._reader = reader
        self._nodes: tuple[NodeStatus, ...] = ()  # one process uses the database

    async def figures(self, now: int) -> Figures:
        return await self._reader().read(_figures, now)

    def report_node(self, status: NodeStatus) -> None:
        self._nodes = (status,)

    async def list_nodes(self) -> tuple[NodeStatus, ...]:
        return self._nodes

    async def list_webhooks(self, page: PageRequest, where: InstanceWebhookFilter = ANY_WEBHOOK) -> Page[Webhook]:
        return await self._reader().read(_list_webhooks, page, where)

    async def list_deliveries(self, page: PageRequest, where: DeliveryFilter) -> Page[Delivery]:
        return await self._reader().read(_list_deliveries, page, where)


def _list_webhooks(db: apsw.Connection, page: PageRequest, where: InstanceWebhookFilter) -> Page[Webhook]:
    return fetch_page(
        db, "list_webhooks", instance_webhook_conditions(where), page, rows.WEBHOOKS.read, newest_first=False
    )


def _list_deliveries(db: apsw.Connection, page: PageRequest, where: DeliveryFilter) -> Page[Delivery]:
    return fetch_page(
        db, "list_deliveries", instance_delivery_conditions(where, HINTS), page, rows.delivery, newest_first=True
    )


def _figures(db: apsw.Connection, now: int) -> Figures:
    due = fetch_all(db, SQL["count_due"], (now, FAILURES_TO_FAIL))
    webhooks = fetch_all(db, SQL["count_webhooks_by_condition"], (FAILURES_TO_FAIL,))
    return rows.figures(now, due, webhooks, fetch_all(db, SQL["count_refused_events"])[0][0])
