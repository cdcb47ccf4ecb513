"""Reads of what happened: events, deliveries, attempts, planned attempts and the audit trail."""

from msgspec import Struct

from packhook.core.audit import AuditEntry
from packhook.core.endpoint_verification import AWAITING_VERIFICATION
from packhook.core.errors import NotFound
from packhook.core.model import Attempt, Delivery, Event, Interruption, Webhook
from packhook.core.retry_policy import remaining_schedule
from packhook.service.endpoint_verification import EndpointVerification
from packhook.service.pagination import Listing, listing
from packhook.settings import Settings
from packhook.store.base import AuditFilter, DeliveryFilter, PageRequest, Store


class DeliveryDetail(Struct, frozen=True, kw_only=True):
    """Hold a delivery with its attempts, oldest first, and the times of the next attempts if each of them fails.

    ``interruptions`` are attempts with an unknown outcome. ``held_reason`` says why a due delivery waits; then
    ``schedule`` is empty.
    """

    delivery: Delivery
    attempts: tuple[Attempt, ...]
    schedule: tuple[int, ...]
    interruptions: tuple[Interruption, ...] = ()
    held_reason: str = ""


class History:
    """Read events, deliveries and audit entries."""

    def __init__(self, store: Store, settings: Settings, verification: EndpointVerification) -> None:
        self._store = store
        self._verification = verification
        self._settings = settings

    async def event(self, organization_id: str, event_id: str) -> tuple[Event, tuple[Delivery, ...]]:
        """Return an event with its deliveries."""
        return await self._store.get_event(organization_id, event_id)

    async def events(self, organization_id: str, page: PageRequest) -> Listing[Event]:
        """Return a page of events, newest first."""
        return listing("events", await self._store.list_events(organization_id, page))

    async def deliveries(self, organization_id: str, page: PageRequest, where: DeliveryFilter) -> Listing[Delivery]:
        """Return a page of deliveries, newest first."""
        return listing("deliveries", await self._store.list_deliveries(organization_id, page, where))

    async def delivery(self, organization_id: str, delivery_id: str) -> DeliveryDetail:
        """Return a delivery with everything known of it."""
        delivery, attempts = await self._store.get_delivery(organization_id, delivery_id)
        webhook = None if delivery.next_attempt_at is None else await self._webhook_of(delivery)
        awaits_verification = webhook is not None and self._verification.is_pending(webhook)
        return DeliveryDetail(
            delivery=delivery,
            attempts=attempts,
            schedule=() if awaits_verification else self._remaining_schedule(delivery, webhook),
            interruptions=await self._store.interruptions(organization_id, delivery_id),
            held_reason=AWAITING_VERIFICATION if awaits_verification else "",
        )

    async def audit(self, page: PageRequest, where: AuditFilter) -> Listing[AuditEntry]:
        """Return a page of audit entries, newest first."""
        return listing("audit", await self._store.list_audit(page, where))

    def _remaining_schedule(self, delivery: Delivery, webhook: Webhook | None) -> tuple[int, ...]:
        if delivery.next_attempt_at is None:
            return ()
        failures = delivery.attempt_count - delivery.attempts_before
        waits = () if webhook is None else webhook.retry_schedule or self._settings.retry_schedule
        return remaining_schedule(waits, failures, delivery.next_attempt_at)

    async def _webhook_of(self, delivery: Delivery) -> Webhook | None:
        try:
            return await self._store.get_webhook(delivery.organization_id, delivery.webhook_id)
        except NotFound:
            return None
