"""Reading back: events, deliveries, attempts, and when the next ones are planned."""

from msgspec import Struct

from packhook.core.audit import AuditEntry
from packhook.core.endpoint_verification import AWAITING_VERIFICATION
from packhook.core.errors import NotFound
from packhook.core.model import Attempt, Delivery, Event, Interruption, Webhook
from packhook.core.retry_policy import remaining_schedule
from packhook.service.cursor import Listing, listing
from packhook.service.endpoint_verification import Ownership
from packhook.settings import Settings
from packhook.store.base import AuditFilter, DeliveryFilter, PageRequest, Store


class DeliveryStory(Struct, frozen=True, kw_only=True):
    """A delivery with its attempts, oldest first, and the instants planned if every further attempt fails.

    ``interruptions`` are attempts that may have been made, and of which nobody knows the outcome.
    ``held_reason``: why it waits although it is due; nothing is planned then.
    """

    delivery: Delivery
    attempts: tuple[Attempt, ...]
    schedule: tuple[int, ...]
    interruptions: tuple[Interruption, ...] = ()
    held_reason: str = ""


class History:
    """Every read of what happened."""

    def __init__(self, store: Store, settings: Settings, ownership: Ownership) -> None:
        self._store = store
        self._ownership = ownership
        self._settings = settings

    async def event(self, organization_id: str, event_id: str) -> tuple[Event, tuple[Delivery, ...]]:
        """The event with its deliveries."""
        return await self._store.get_event(organization_id, event_id)

    async def events(self, organization_id: str, page: PageRequest) -> Listing[Event]:
        """A page, newest first."""
        found = await self._store.list_events(organization_id, page)
        return listing(found, tuple(event.id for event in found.items))

    async def deliveries(self, organization_id: str, page: PageRequest, where: DeliveryFilter) -> Listing[Delivery]:
        """A page, newest first."""
        found = await self._store.list_deliveries(organization_id, page, where)
        return listing(found, tuple(delivery.id for delivery in found.items))

    async def delivery(self, organization_id: str, delivery_id: str) -> DeliveryStory:
        """One delivery, whole."""
        delivery, attempts = await self._store.get_delivery(organization_id, delivery_id)
        webhook = None if delivery.next_attempt_at is None else await self._webhook_of(delivery)
        is_held = webhook is not None and self._ownership.is_held(webhook)
        return DeliveryStory(
            delivery=delivery,
            attempts=attempts,
            schedule=() if is_held else self._to_come(delivery, webhook),
            interruptions=await self._store.interruptions(organization_id, delivery_id),
            held_reason=AWAITING_VERIFICATION if is_held else "",
        )

    async def audit(self, page: PageRequest, where: AuditFilter) -> Listing[AuditEntry]:
        """A page of the audit trail, newest first."""
        found = await self._store.list_audit(page, where)
        return listing(found, tuple(entry.id for entry in found.items))

    def _to_come(self, delivery: Delivery, webhook: Webhook | None) -> tuple[int, ...]:
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
