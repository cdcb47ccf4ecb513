"""Define what the operator asks of a database about all organizations together; a part of ``base.Store``."""

from typing import TYPE_CHECKING, Protocol

from packhook.core.model import Delivery, Webhook
from packhook.core.overview import Figures
from packhook.telemetry.counts import StoreCounts

if TYPE_CHECKING:
    from packhook.store.base import DeliveryFilter, Page, PageRequest


class OverviewStore(Protocol):
    """Read what is true of the whole instance. Takes no organization."""

    async def figures(self, now: int) -> Figures:
        """Count what is due, and the webhooks. The cost grows with both, so callers keep the result for a while."""
        ...

    async def list_webhooks(self, page: "PageRequest") -> "Page[Webhook]":
        """Return a page of the webhooks of all organizations, oldest first."""
        ...

    async def list_deliveries(self, page: "PageRequest", where: "DeliveryFilter") -> "Page[Delivery]":
        """Return a page of the deliveries of all organizations, newest first.

        Of the filter count ``webhook_id``, ``status``, ``since`` and ``until``. A page of a status other than finished
        ones may read every delivery.
        """
        ...


class WithOverview(Protocol):
    """Read for the operator, and count what this store has done since it was made."""

    counts: StoreCounts

    @property
    def overview(self) -> OverviewStore:
        """Return the part that reads for the operator."""
        ...
