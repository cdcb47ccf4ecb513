"""Publishing: ids and times are given here, then the store makes it durable. The door closes when too many wait."""

import asyncio
from collections.abc import Sequence

from packhook.core import ids
from packhook.core.clock import DAY, Clock
from packhook.core.errors import BodyTooLarge, FieldError, InvalidInput, Unavailable
from packhook.core.model import MAX_BATCH_EVENTS, MAX_DATA_BYTES, Event, Idempotency, PublishRequest, Receipt
from packhook.settings import Settings
from packhook.store.base import Callback, Store


class Publisher:
    """Takes events in. Its callers have checked that each ``data`` is a valid JSON object."""

    def __init__(self, store: Store, settings: Settings, clock: Clock) -> None:
        self._store = store
        self._limit = settings.max_pending_publishes
        self._clock = clock
        self._waiting = 0

    def publish(
        self,
        organization_id: str,
        events: Sequence[tuple[str, bytes]],
        told: Callback[tuple[Receipt, ...]],
        idempotency_key: str | None = None,
        fingerprint: bytes = b"",
    ) -> None:
        """Store these (event code, data) and their deliveries, all or nothing; durable when ``told`` has the receipts.

        ``fingerprint`` tells one request from another with the same key. Raises BodyTooLarge, InvalidInput and
        Unavailable; ``told`` may have NotFound, Conflict (the key came with another fingerprint) or Unavailable too.
        """
        if not 1 <= len(events) <= MAX_BATCH_EVENTS:
            raise InvalidInput([FieldError("/events", "invalid_length", f"expected 1 to {MAX_BATCH_EVENTS} events")])
        now = self._clock.now()
        publication = PublishRequest(
            organization_id=organization_id,
            events=tuple([self._event(organization_id, code, data, now) for code, data in events]),
            idempotency=None
            if idempotency_key is None
            else Idempotency(key=idempotency_key, fingerprint=fingerprint, stale_before=now - DAY),
        )
        self._store_in_turn(publication, told)

    def _event(self, organization_id: str, code: str, data: bytes, now: int) -> Event:
        if len(data) > MAX_DATA_BYTES:
            raise BodyTooLarge(f"data may have {MAX_DATA_BYTES} bytes, this has {len(data)}")
        return Event(id=ids.event_id(), organization_id=organization_id, event_code=code, data=data, created_at=now)

    def _store_in_turn(self, publication: PublishRequest, told: Callback[tuple[Receipt, ...]]) -> None:
        count = len(publication.events)
        if self._waiting and self._waiting + count > self._limit:
            raise Unavailable("too many events wait to be stored", retry_after_seconds=1)

        def stored(future: "asyncio.Future[tuple[Receipt, ...]]") -> None:
            self._waiting -= count
            error = future.exception()
            told(error if isinstance(error, Exception) else future.result())

        self._store.publish(publication).add_done_callback(stored)
        self._waiting += count
