"""The timeline of an order: everything that happened to its events, and what still waits, in order of time.

::

    subject, or reference ─▶ its subject ─▶ a page of its events ─▶ their deliveries ─▶ their attempts, interruptions
                                                                                       └─▶ entries, by time
"""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from packhook.core.clock import Clock, to_rfc3339
from packhook.core.errors import FieldError, InvalidInput
from packhook.core.model import AttemptSummary, Delivery, DeliveryStatus, Event, Interruption, WebhookState
from packhook.core.subscription import held_reason
from packhook.service.pagination import Listing, listing
from packhook.store.base import DeliveryFilter, PageRequest, Store
from packhook.store.timeline import EventFilter

if TYPE_CHECKING:  # at run time the command line would load the HTTP client with them
    from packhook.service.history import History
    from packhook.settings import Settings

MAX_DELIVERIES: Final = 1_000
MAX_ATTEMPTS: Final = 2_000
DELETED: Final = "its webhook was deleted"
DISABLED: Final = "its webhook is disabled"


class TimelineFilter(Struct, frozen=True, kw_only=True):
    """Select what a timeline is about: a subject, or a reference."""

    subject: str | None = None
    reference: str | None = None


class EntryKind(StrEnum):
    """Name what an entry tells."""

    PUBLISHED = "published"
    ATTEMPT = "attempt"
    INTERRUPTED = "interrupted"
    WAITING = "waiting"
    SENDING = "sending"
    EXHAUSTED = "exhausted"
    CANCELED = "canceled"
    LEFT_OUT = "left_out"


class TimelineEntry(Struct, frozen=True, kw_only=True):
    """Hold one line of a timeline: what was, at an instant, or, of a delivery that waits, what is to come.

    ``text`` says it in words. ``held_reason`` says why a delivery that is due is not sent.
    """

    at: int
    kind: EntryKind
    text: str
    event: Event | None = None
    delivery: Delivery | None = None
    attempt: AttemptSummary | None = None
    interruption: Interruption | None = None
    held_reason: str = ""


class Timeline:
    """Read timelines."""

    def __init__(self, store: Store, history: "History", settings: "Settings", clock: Clock) -> None:
        self._store = store
        self._history = history
        self._requires_verification = settings.require_endpoint_verification
        self._clock = clock

    async def read(
        self, organization_id: str, page: PageRequest, where: TimelineFilter, reserve: Callable[[int], None]
    ) -> Listing[TimelineEntry]:
        """Return the entries of a page of events: pages from the newest events on, the entries of each by time.

        A page has everything about its events. At most MAX_DELIVERIES and MAX_ATTEMPTS: then an entry says that some
        are left out. ``reserve`` is called with the bytes of each event, and may raise. Raises InvalidInput unless
        either a subject or a reference is given.
        """
        if (where.subject is None) == (where.reference is None):
            raise InvalidInput([FieldError("subject", "invalid", "expected either subject or reference")])
        selected = await self._events_meant(organization_id, where)
        events = await self._history.page_of_events(organization_id, page, selected, reserve)
        pages = listing("timeline", events)
        return Listing(items=await self._entries(organization_id, events.items), prev=pages.prev, next=pages.next)

    async def _events_meant(self, organization_id: str, where: TimelineFilter) -> EventFilter:
        """Return which events a timeline has: where one order has the reference, all events of that order."""
        if where.reference is None:
            return EventFilter(subject=where.subject)
        subjects = await self._store.subjects_of(organization_id, where.reference)
        return EventFilter(subject=subjects[0]) if len(subjects) == 1 else EventFilter(reference=where.reference)

    async def _entries(self, organization_id: str, events: Sequence[Event]) -> tuple[TimelineEntry, ...]:
        if not events:
            return ()
        of = DeliveryFilter(event_ids=tuple(event.id for event in events))
        deliveries = await self._store.list_deliveries(organization_id, PageRequest(limit=MAX_DELIVERIES), of)
        ids = [delivery.id for delivery in deliveries.items]
        log = await self._store.summarize_attempts(organization_id, ids, MAX_ATTEMPTS + 1)
        states = await self._store.webhook_states({delivery.webhook_id for delivery in deliveries.items})
        by_id = {delivery.id: delivery for delivery in deliveries.items}
        entries = [_published(event, deliveries.items) for event in events]
        entries += [_attempted(by_id[attempt.delivery_id], attempt) for attempt in log.attempts[:MAX_ATTEMPTS]]
        entries += [_interrupted(by_id[delivery_id], found) for delivery_id, found in log.interruptions]
        for delivery in deliveries.items:
            entries += self._state(delivery, states.get(delivery.webhook_id))
        if deliveries.has_next or len(log.attempts) > MAX_ATTEMPTS:
            text = f"more than {MAX_DELIVERIES} deliveries or {MAX_ATTEMPTS} attempts: some of them are left out"
            entries.append(TimelineEntry(at=self._clock.now(), kind=EntryKind.LEFT_OUT, text=text))
        return tuple(sorted(entries, key=_order))

    def _state(self, delivery: Delivery, state: WebhookState | None) -> list[TimelineEntry]:
        """Return what a delivery that is not delivered waits for, or how it ended."""
        match delivery.status:
            case DeliveryStatus.PENDING:
                return [self._waiting(delivery, state)]
            case DeliveryStatus.SENDING:
                kind, text = EntryKind.SENDING, f"being sent to {_target(delivery, state)}"
            case DeliveryStatus.EXHAUSTED:
                kind, text = EntryKind.EXHAUSTED, f"given up: no attempt is left for {_target(delivery, state)}"
            case DeliveryStatus.CANCELED:
                kind, text = EntryKind.CANCELED, f"canceled: not sent to {_target(delivery, state)}"
            case _:
                return []
        return [TimelineEntry(at=delivery.updated_at, kind=kind, text=text, delivery=delivery)]

    def _waiting(self, delivery: Delivery, state: WebhookState | None) -> TimelineEntry:
        now = self._clock.now()
        at = delivery.next_attempt_at or now
        reason = self._held_reason(state, now)
        if reason:
            text = f"waits for {_target(delivery, state)}: {reason}"
        elif at <= now:
            text = f"is due for {_target(delivery, state)}"
        else:
            number = delivery.attempt_count + 1
            text = f"waits until {to_rfc3339(at)} for attempt {number} to {_target(delivery, state)}"
        return TimelineEntry(at=at, kind=EntryKind.WAITING, text=text, delivery=delivery, held_reason=reason)

    def _held_reason(self, state: WebhookState | None, now: int) -> str:
        if state is None:
            return DELETED
        webhook = state.webhook
        if not webhook.enabled:
            return f"{DISABLED}: {webhook.disabled_reason}" if webhook.disabled_reason else DISABLED
        if state.held_until > now:
            return f"the endpoint asked to wait until {to_rfc3339(state.held_until)}"
        return held_reason(webhook, requires_verification=self._requires_verification)


def _order(entry: TimelineEntry) -> tuple[int, bool]:
    """Order by time; what a delivery waits for comes after what was at the same time."""
    return entry.at, entry.kind is not EntryKind.PUBLISHED


def _published(event: Event, deliveries: Sequence[Delivery]) -> TimelineEntry:
    count = sum(delivery.event_id == event.id for delivery in deliveries)
    known_as = f" ({', '.join(event.references)})" if event.references else ""
    goes = "goes to no webhook" if not count else "goes to 1 webhook" if count == 1 else f"goes to {count} webhooks"
    text = f"{event.event_code} of {event.subject}{known_as} was published as {event.id} and {goes}"
    if event.erased_at is not None:
        text += f"; its data were erased at {to_rfc3339(event.erased_at)}"
    return TimelineEntry(at=event.created_at, kind=EntryKind.PUBLISHED, text=text, event=event)


def _attempted(delivery: Delivery, attempt: AttemptSummary) -> TimelineEntry:
    result = attempt.error_message if attempt.error_code else f"delivered, status {attempt.status_code}"
    text = f"attempt {attempt.number} of {delivery.event_code} to {attempt.url}: {result} ({attempt.duration} ms)"
    return TimelineEntry(at=attempt.started_at, kind=EntryKind.ATTEMPT, text=text, delivery=delivery, attempt=attempt)


def _interrupted(delivery: Delivery, interruption: Interruption) -> TimelineEntry:
    text = f"attempt {interruption.number} of {delivery.event_code} was interrupted: outcome unknown, it is sent again"
    return TimelineEntry(
        at=interruption.noticed_at,
        kind=EntryKind.INTERRUPTED,
        text=text,
        delivery=delivery,
        interruption=interruption,
    )


def _target(delivery: Delivery, state: WebhookState | None) -> str:
    return delivery.webhook_id if state is None else state.webhook.endpoint
