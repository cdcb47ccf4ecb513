"""Publishing: give events their ids and times, and let the store make them durable. Bounds how many wait."""

from collections.abc import Sequence

from packhook.core import ids
from packhook.core.clock import DAY, Clock
from packhook.core.errors import BodyTooLarge, FieldError, InvalidInput, Unavailable
from packhook.core.model import MAX_BATCH_EVENTS, MAX_DATA_BYTES, Event, Idempotency, PublishRequest, Receipt
from packhook.settings import Settings
from packhook.store.base import Store


class Publisher:
    """Publish events. Callers have checked that each ``data`` is a valid JSON object."""

    def __init__(self, store: Store, settings: Settings, clock: Clock) -> None:
        self._store = store
        self._max_pending = settings.max_pending_publishes
        self._clock = clock
        self._pending = 0

    async def publish(
        self,
        organization_id: str,
        events: Sequence[tuple[str, bytes]],
        idempotency_key: str | None = None,
        fingerprint: bytes = b"",
    ) -> tuple[Receipt, ...]:
        """Store these (event code, data) pairs and their deliveries, all or nothing; return once they are durable.

        Raises NotFound, Conflict (the idempotency key was used with another ``fingerprint``), BodyTooLarge,
        InvalidInput and Unavailable. A caller that is cancelled does not undo the publish.
        """
        if not 1 <= len(events) <= MAX_BATCH_EVENTS:
            raise InvalidInput([FieldError("/events", "invalid_length", f"expected 1 to {MAX_BATCH_EVENTS} events")])
        now = self._clock.now()
        request = PublishRequest(
            organization_id=organization_id,
            events=tuple([self._event(organization_id, code, data, now) for code, data in events]),
            idempotency=None
            if idempotency_key is None
            else Idempotency(key=idempotency_key, fingerprint=fingerprint, stale_before=now - DAY),
        )
        return await self._store_bounded(request)

    def _event(self, organization_id: str, code: str, data: bytes, now: int) -> Event:
        if len(data) > MAX_DATA_BYTES:
            raise BodyTooLarge(f"data may have {MAX_DATA_BYTES} bytes, this has {len(data)}")
        return Event(id=ids.event_id(), organization_id=organization_id, event_code=code, data=data, created_at=now)

    async def _store_bounded(self, request: PublishRequest) -> tuple[Receipt, ...]:
        count = len(request.events)
        if self._pending and self._pending + count > self._max_pending:
            raise Unavailable("too many events wait to be stored", retry_after_seconds=1)
        stored = self._store.publish(request)
        self._pending += count
        stored.add_done_callback(lambda _: self._release(count))
        return await stored

    def _release(self, count: int) -> None:
        self._pending -= count
