"""Reads of what happened: events, deliveries, attempts, planned attempts and the audit trail."""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from packhook.core.audit import AuditEntry
from packhook.core.errors import NotFound
from packhook.core.fairness import FairShare
from packhook.core.model import Attempt, AttemptSummary, Delivery, Event, Interruption, Webhook
from packhook.core.replay import Replay
from packhook.core.retry_policy import remaining_schedule
from packhook.core.subscription import held_reason
from packhook.service.endpoint_verification import EndpointVerification
from packhook.service.pagination import DEFAULT_PER_PAGE, MAX_PAGE_BYTES, Listing, listing
from packhook.settings import Settings
from packhook.store.base import AuditFilter, DeliveryFilter, Page, PageRequest, Store
from packhook.store.timeline import ANY_EVENT, EventFilter

EVENTS_PER_READ: Final = DEFAULT_PER_PAGE
MAX_ATTEMPTS_OF_LIST: Final = 1_000


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
    """Read events, deliveries and audit entries. ``reads`` counts the bytes of reads from here to their client."""

    def __init__(self, store: Store, settings: Settings, verification: EndpointVerification) -> None:
        self._store = store
        self._verification = verification
        self._settings = settings
        self.reads: Final = FairShare(
            settings.max_buffered_read_bytes, "too many bytes are being read; ask for smaller pages, or try again"
        )

    async def event(self, organization_id: str, event_id: str) -> tuple[Event, tuple[Delivery, ...]]:
        """Return an event with its deliveries."""
        return await self._store.get_event(organization_id, event_id)

    async def events(
        self,
        organization_id: str,
        page: PageRequest,
        where: EventFilter = ANY_EVENT,
        reserve: Callable[[int], None] = lambda _: None,
    ) -> Listing[Event]:
        """Return a page of events, newest first; it ends early, before MAX_PAGE_BYTES of data.

        ``reserve`` is called with the bytes of each event, and may raise.
        """
        return listing("events", await self.page_of_events(organization_id, page, where, reserve))

    async def page_of_events(
        self, organization_id: str, page: PageRequest, where: EventFilter, reserve: Callable[[int], None]
    ) -> Page[Event]:
        """Read a few events at a time, beginning at the anchor, until the page is full: memory is bounded."""
        events: list[Event] = []
        size, more, next_read = 0, True, page
        while more and len(events) < page.limit:
            limit = min(EVENTS_PER_READ, page.limit - len(events))
            found = await self._store.list_events(
                organization_id, msgspec.structs.replace(next_read, limit=limit), where
            )
            more = found.has_prev if page.backwards else found.has_next
            for event in reversed(found.items) if page.backwards else found.items:
                size += len(event.data)
                if events and size > MAX_PAGE_BYTES:
                    return _page(events, page, more=True)
                reserve(len(event.data))
                events.append(event)
            if events:
                next_read = msgspec.structs.replace(page, anchor=events[-1].id)
        return _page(events, page, more=more)

    async def deliveries(self, organization_id: str, page: PageRequest, where: DeliveryFilter) -> Listing[Delivery]:
        """Return a page of deliveries, newest first."""
        return listing("deliveries", await self._store.list_deliveries(organization_id, page, where))

    async def all_deliveries(self, page: PageRequest, where: DeliveryFilter) -> Listing[Delivery]:
        """Return a page of the deliveries of all organizations, newest first."""
        return listing("deliveries", await self._store.overview.list_deliveries(page, where))

    async def last_attempts(self, organization_id: str, deliveries: Sequence[Delivery]) -> dict[str, AttemptSummary]:
        """Return the last attempt of each of these deliveries that has one, by the delivery's id.

        At most MAX_ATTEMPTS_OF_LIST attempts are read, so of many deliveries with many attempts some are absent.
        """
        attempted = [delivery.id for delivery in deliveries if delivery.attempt_count]
        log = await self._store.summarize_attempts(organization_id, attempted, MAX_ATTEMPTS_OF_LIST)
        return {attempt.delivery_id: attempt for attempt in sorted(log.attempts, key=lambda found: found.number)}

    async def endpoints(self, found: Sequence[Delivery | Replay]) -> dict[str, str]:
        """Return the endpoints that these, of one organization, go to now, by webhook; not of deleted ones."""
        states = await self._store.webhook_states({one.webhook_id for one in found})
        return {webhook_id: state.webhook.endpoint for webhook_id, state in states.items()}

    async def delivery(self, organization_id: str, delivery_id: str) -> DeliveryDetail:
        """Return a delivery with everything known of it."""
        delivery, attempts = await self._store.get_delivery(organization_id, delivery_id)
        webhook = None if delivery.next_attempt_at is None else await self._webhook_of(delivery)
        reason = "" if webhook is None else self._held_reason(webhook)
        return DeliveryDetail(
            delivery=delivery,
            attempts=attempts,
            schedule=() if reason else self._remaining_schedule(delivery, webhook),
            interruptions=await self._store.interruptions(organization_id, delivery_id),
            held_reason=reason,
        )

    async def audit(self, page: PageRequest, where: AuditFilter) -> Listing[AuditEntry]:
        """Return a page of audit entries, newest first."""
        return listing("audit", await self._store.list_audit(page, where))

    def _held_reason(self, webhook: Webhook) -> str:
        return held_reason(webhook, requires_verification=self._verification.is_required)

    def _remaining_schedule(self, delivery: Delivery, webhook: Webhook | None) -> tuple[int, ...]:
        at, planned_at = delivery.next_attempt_at, delivery.planned_at
        if at is None:
            return ()
        failures = delivery.attempt_count - delivery.attempts_before
        waits = () if webhook is None else webhook.retry_schedule or self._settings.retry_schedule
        if planned_at is not None and planned_at > at:  # the attempt on request is no step of the schedule
            return at, *remaining_schedule(waits, failures + 1, planned_at)
        return remaining_schedule(waits, failures, at)

    async def _webhook_of(self, delivery: Delivery) -> Webhook | None:
        try:
            return await self._store.get_webhook(delivery.organization_id, delivery.webhook_id)
        except NotFound:
            return None


def _page(events: list[Event], page: PageRequest, *, more: bool) -> Page[Event]:
    """Return events, in the order in which they were read, as a page."""
    has_anchor = page.anchor is not None
    if page.backwards:
        return Page(items=tuple(reversed(events)), has_prev=more, has_next=has_anchor)
    return Page(items=tuple(events), has_prev=has_anchor, has_next=more)
