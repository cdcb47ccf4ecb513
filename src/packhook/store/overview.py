"""Define what the operator asks of a database about all organizations together; a part of ``base.Store``."""

from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct

from packhook.core.model import Delivery, Webhook
from packhook.core.overview import Figures, NodeStatus, WebhookCondition
from packhook.telemetry.counts import StoreCounts

if TYPE_CHECKING:
    from packhook.store.base import DeliveryFilter, Page, PageRequest


MAX_NODES_READ: Final = 1_000


class InstanceWebhookFilter(Struct, frozen=True, kw_only=True):
    """Select webhooks of all organizations; None is any."""

    organization_id: str | None = None
    event_code: str | None = None
    state: WebhookCondition | None = None


ANY_WEBHOOK: Final = InstanceWebhookFilter()


class OverviewStore(Protocol):
    """Read what is true of the whole instance. Takes no organization."""

    async def figures(self, now: int) -> Figures:
        """Count what is due, and the webhooks. The cost grows with both, so callers keep the result for a while."""
        ...

    def report_node(self, status: NodeStatus) -> None:
        """Keep what this node says about itself for ``list_nodes``; other nodes see it within seconds."""
        ...

    async def list_nodes(self) -> tuple[NodeStatus, ...]:
        """Return what each node last said about itself, the oldest node first, at most MAX_NODES_READ.

        A node that died is among them for some seconds.
        """
        ...

    async def list_webhooks(self, page: "PageRequest", where: InstanceWebhookFilter = ANY_WEBHOOK) -> "Page[Webhook]":
        """Return a page of the webhooks of all organizations, oldest first. A filter may read every webhook."""
        ...

    async def list_deliveries(self, page: "PageRequest", where: "DeliveryFilter") -> "Page[Delivery]":
        """Return a page of the deliveries of all organizations, newest first.

        Of the filter count ``webhook_id``, ``status``, ``since`` and ``until``. A page of ``pending`` or ``sending``
        reads every delivery that is not finished, and sorts them; a page of ``delivered`` may read those before.
        """
        ...


class WithOverview(Protocol):
    """Read for the operator, and count what this store has done since it was made."""

    counts: StoreCounts

    @property
    def overview(self) -> OverviewStore:
        """Return the part that reads for the operator."""
        ...
