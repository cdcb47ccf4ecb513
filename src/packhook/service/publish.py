"""Publishing: give events their ids and times, and let the store make them durable. Bounds how many wait."""

from collections.abc import Sequence
from time import perf_counter
from typing import NamedTuple

from packhook.core import ids
from packhook.core.clock import DAY, Clock
from packhook.core.errors import BodyTooLarge, FieldError, InvalidInput
from packhook.core.event_types import Catalogue
from packhook.core.fairness import FairShare
from packhook.core.model import MAX_BATCH_EVENTS, MAX_DATA_BYTES, Event, Idempotency, PublishRequest, Receipt
from packhook.core.subject import About
from packhook.settings import Settings
from packhook.store.base import Store
from packhook.telemetry.counts import REQUEST_SECONDS, Histogram
from packhook.telemetry.live_tail import LiveTail


class RawEvent(NamedTuple):
    """Hold an event as it was sent: its code, its data as JSON, and what they are about."""

    event_code: str
    data: bytes
    about: About


class PublishKey(NamedTuple):
    """Hold an idempotency key, and the SHA-256 of what its request means."""

    key: str
    fingerprint: bytes


class Published(NamedTuple):
    """Hold receipts, and whether they are those of an earlier request with the same idempotency key."""

    receipts: tuple[Receipt, ...]
    is_repeated: bool


class Publisher:
    """Publish events. The reader of each event's type has checked its ``data``.

    ``seconds`` has how long each call took until its events were durable.
    """

    def __init__(self, store: Store, settings: Settings, clock: Clock, tail: LiveTail | None = None) -> None:
        self._store = store
        self._max_events = min(MAX_BATCH_EVENTS, settings.max_pending_publishes)
        self._pending = FairShare(settings.max_pending_publishes, "too many events wait to be stored; try again")
        self._clock = clock
        self._tail = LiveTail() if tail is None else tail
        self.seconds = Histogram(REQUEST_SECONDS)

    @property
    def event_types(self) -> Catalogue:
        """Return the catalogue as this node knows it."""
        return self._store.event_types.catalogue

    def require_room(self, organization_id: str) -> None:
        """Raise Overloaded if no event of this organization may wait now: then its body need not be decoded."""
        with self._pending.reserve(organization_id) as pending:
            pending.grow(1)

    async def publish(self, organization_id: str, events: Sequence[RawEvent]) -> tuple[Receipt, ...]:
        """Do what :meth:`publish_once` does, whether they were published before or not."""
        return (await self.publish_once(organization_id, events, None)).receipts

    async def publish_once(
        self, organization_id: str, events: Sequence[RawEvent], key: PublishKey | None, trace_context: str = ""
    ) -> Published:
        """Store these events and their deliveries, all or nothing; return once they are durable.

        Each event keeps ``trace_context`` (core/trace_context.py).

        Raises NotFound, Conflict (the idempotency key was used with another request), BodyTooLarge, InvalidInput,
        Overloaded and Unavailable. A caller that is cancelled does not undo the publish.
        """
        if not 1 <= len(events) <= self._max_events:
            text = f"expected 1 to {self._max_events} events, got {len(events)}"
            raise InvalidInput([FieldError("/events", "invalid_length", text)])
        now = self._clock.now()
        request = PublishRequest(
            organization_id=organization_id,
            events=tuple([self._event(organization_id, event, now, trace_context) for event in events]),
            idempotency=None
            if key is None
            else Idempotency(key=key.key, fingerprint=key.fingerprint, stale_before=now - DAY),
        )
        self._pending.acquire(organization_id, len(events), 0)
        began = perf_counter()
        try:
            receipts = await self._store.publish(request)
        finally:
            self._pending.release(organization_id, len(events))
        self.seconds.observe(perf_counter() - began)
        is_repeated = receipts[0].id != request.events[0].id
        if self._tail.viewers and not is_repeated:
            self._tail.published(request.events)
        return Published(receipts, is_repeated)

    def _event(self, organization_id: str, event: RawEvent, now: int, trace_context: str) -> Event:
        code, data, found = event
        if len(data) > MAX_DATA_BYTES:
            raise BodyTooLarge(f"data may have {MAX_DATA_BYTES} bytes, this has {len(data)}")
        return Event(
            id=ids.event_id(),
            organization_id=organization_id,
            event_code=code,
            data=data,
            created_at=now,
            subject=found.subject,
            reference_1=found.reference_1,
            reference_2=found.reference_2,
            reference_3=found.reference_3,
            trace_context=trace_context,
        )
