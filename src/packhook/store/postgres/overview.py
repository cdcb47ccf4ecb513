"""Implement the OverviewStore on PostgreSQL: each method names its work; all of them read."""

from collections.abc import Callable
from typing import Final

import msgspec

from packhook.core.health import FAILURES_TO_FAIL
from packhook.core.model import Delivery, Webhook
from packhook.core.overview import Figures, NodeStatus
from packhook.store import rows
from packhook.store.base import DeliveryFilter, Page, PageRequest
from packhook.store.filters import instance_delivery_conditions, instance_webhook_conditions
from packhook.store.overview import ANY_WEBHOOK, MAX_NODES_READ, InstanceWebhookFilter
from packhook.store.postgres.liveness import NodeLiveness
from packhook.store.postgres.queries import HINTS, SQL, Db, Run, fetch_page

_encode_status: Final = msgspec.json.Encoder().encode
_decode_status: Final = msgspec.json.Decoder(NodeStatus).decode


class PostgresOverview:
    """See :class:`packhook.store.overview.OverviewStore` for every promise."""

    def __init__(self, read: Run, liveness: Callable[[], NodeLiveness]) -> None:
        self._read = read
        self._liveness = liveness

    async def figures(self, now: int) -> Figures:
        return await self._read(read_figures, now)

    def report_node(self, status: NodeStatus) -> None:
        self._liveness().report(_encode_status(status))

    async def list_nodes(self) -> tuple[NodeStatus, ...]:
        return await self._read(list_nodes)

    async def list_webhooks(self, page: PageRequest, where: InstanceWebhookFilter = ANY_WEBHOOK) -> Page[Webhook]:
        return await self._read(list_webhooks, page, where)

    async def list_deliveries(self, page: PageRequest, where: DeliveryFilter) -> Page[Delivery]:
        return await self._read(list_deliveries, page, where)


async def list_nodes(db: Db) -> tuple[NodeStatus, ...]:
    """See OverviewStore.list_nodes."""
    return tuple(_node_status(*row) for row in await db.fetch_all(SQL["list_nodes"], MAX_NODES_READ))


def _node_status(node: int, since: int, status: str) -> NodeStatus:
    """Return what a node said; of one that says nothing yet, or whose version never does, only since when it is."""
    if not status:
        return NodeStatus(name=f"{node:x}", started_at=since, seen_at=since)
    return _decode_status(status)


async def list_webhooks(db: Db, page: PageRequest, where: InstanceWebhookFilter = ANY_WEBHOOK) -> Page[Webhook]:
    """See OverviewStore.list_webhooks."""
    return await fetch_page(
        db, "list_webhooks", instance_webhook_conditions(where), page, rows.WEBHOOKS.read, newest_first=False
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
    return rows.figures(now, due, webhooks, refused)
