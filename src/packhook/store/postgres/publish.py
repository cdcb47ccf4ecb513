"""Write events and their deliveries in one statement; lease what this node has capacity for on the way in.

::

    subscribers ─▶ fan out, lease while there is capacity ─▶ write all at once ─▶ idempotency keys that came before?
    (cached)                                                 (verifies the subscribers; if out of date, try again)
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from packhook.core.errors import InvalidInput, NotFound, PackhookError, Unavailable
from packhook.core.model import Event, LeasedDelivery, PublishRequest
from packhook.store import rows
from packhook.store.dispatcher import Capacity
from packhook.store.fan_out import (
    FanOut,
    PublishOutcome,
    Slices,
    Subscribers,
    event_weight,
    outcome,
    pause,
    receipt,
    slices,
    too_many_deliveries,
)
from packhook.store.postgres.idempotency import IdempotencyBatch, Key
from packhook.store.postgres.queries import SQL, Db, to_arrays
from packhook.store.postgres.subscribers import SubscriberLoader

MAX_TRIES: Final = 10
EVENT_COLUMNS: Final = len(rows.EVENTS.columns) + 1
DELIVERY_COLUMNS: Final = 10

Provisional = PublishOutcome | NotFound | InvalidInput | None
"""What a call comes to if its key is new; None where another call of the batch came first with that key."""


class PublishBatch:
    """Write the publish calls of a batch together; see Store.publish."""

    def __init__(
        self, requests: Sequence[PublishRequest], capacity: Callable[[], Capacity], loader: SubscriberLoader
    ) -> None:
        self._requests = requests
        self._capacity = capacity
        self._loader = loader
        self._rows: PublishedRows | None = None
        self._keys = IdempotencyBatch()
        self._provisional: list[Provisional] = []

    async def write(self, db: Db) -> list[PublishOutcome | PackhookError]:
        """Return the answer to each call. Raises CommitOutcomeUnknown."""
        for _ in range(MAX_TRIES):
            subscribers = await self._loader.load(db, [request.organization_id for request in self._requests])
            written, changed = await self._write_once(db, subscribers)
            if not changed:
                with db.outcome_unknown_on_error():  # it is written by now
                    return await self._answers(db, written)
            self._loader.forget(changed)
        raise Unavailable("webhooks change faster than events can be published")

    async def recover(self, db: Db) -> list[PublishOutcome | PackhookError] | None:
        """Return the same answers for a write with an unknown outcome; None where it was not done."""
        if self._rows is None or not await self._rows.are_written(db):
            return None
        return await self._answers(db, await self._keys.find_written(db))

    async def _write_once(self, db: Db, subscribers: dict[str, Subscribers]) -> tuple[set[Key], set[str]]:
        """Return the keys that were written, or nothing is and these organizations' subscribers were out of date."""
        written = self._rows = PublishedRows(subscribers)
        self._keys = IdempotencyBatch()
        fan_out = FanOut(self._capacity(), db.config, written.slices)
        self._provisional = [await self._add(request, fan_out, subscribers, written) for request in self._requests]
        if written.is_empty:
            return set(), set()
        return split(await db.execute_autocommit(SQL["insert_published"], *await written.values(self._keys)))

    async def _add(
        self,
        request: PublishRequest,
        fan_out: FanOut,
        subscribers: dict[str, Subscribers],
        written: "PublishedRows",
    ) -> Provisional:
        """Return what this call comes to, and collect what it writes."""
        subscribed = subscribers.get(request.organization_id)
        if subscribed is None:
            return NotFound(f"no organization {request.organization_id!r}")
        if (refusal := too_many_deliveries(request, subscribed)) is not None:
            self._keys.add_refused(request)
            return refusal
        deliveries = [await fan_out.deliveries(event, subscribed) for event in request.events]
        receipts = tuple(receipt(event, len(made)) for event, made in zip(request.events, deliveries, strict=True))
        idempotency = request.idempotency
        if idempotency is not None and not self._keys.add(request, idempotency, receipts):
            return None
        key = None if idempotency is None else idempotency.key
        for event in request.events:
            written.add_event(event, key)
            if written.slices.ends(event_weight(event)):
                await pause()
        made = [delivery for of_event in deliveries for delivery in of_event]
        await written.add_deliveries(made, key)
        return outcome(receipts, made)

    async def _answers(self, db: Db, written: set[Key]) -> list[PublishOutcome | PackhookError]:
        await self._keys.look_up(db, written)
        return [
            self._keys.answer(request, provisional)
            for request, provisional in zip(self._requests, self._provisional, strict=True)
        ]


class PublishedRows:
    """Collect the rows that one ``insert_published`` writes."""

    def __init__(self, subscribers: dict[str, Subscribers]) -> None:
        self.slices = Slices()
        self._subscribers = subscribers
        self._written: list[tuple[str, str]] = []
        self._events: list[Sequence[Any]] = []
        self._deliveries: list[Sequence[Any]] = []

    @property
    def is_empty(self) -> bool:
        """Tell whether there is nothing to write."""
        return not self._events

    def add_event(self, event: Event, key: str | None) -> None:
        """Collect an event; it is left out where its key came before."""
        self._written.append((event.organization_id, event.id))
        self._events.append((*rows.EVENTS.values(event), key))

    async def add_deliveries(self, deliveries: Sequence[LeasedDelivery], key: str | None) -> None:
        """Collect deliveries; they are left out where their key came before."""
        for some in slices(deliveries):
            self._deliveries += [_delivery_values(delivery, key) for delivery in some]
            if self.slices.ends(len(some)):
                await pause()

    async def values(self, keys: IdempotencyBatch) -> list[Any]:
        """Return the values of ``insert_published``."""
        used = [(organization_id, subscribers.version) for organization_id, subscribers in self._subscribers.items()]
        deliveries: tuple[list[Any], ...] = tuple([] for _ in range(DELIVERY_COLUMNS))
        for some in slices(self._deliveries):
            for column, values in zip(deliveries, zip(*some, strict=True), strict=True):
                column.extend(values)
            if self.slices.ends(len(some)):
                await pause()
        return [
            *to_arrays(used, 2),
            *keys.values(),
            keys.stale_before,
            *to_arrays(self._events, EVENT_COLUMNS),
            *deliveries,
        ]

    async def are_written(self, db: Db) -> bool:
        """Return whether some event is in the database: then all are, but those whose keys came before."""
        return bool(self._written and await db.fetch_all(SQL["find_events"], *to_arrays(self._written, 2)))


def _delivery_values(delivery: LeasedDelivery, key: str | None) -> tuple[Any, ...]:
    return (
        delivery.organization_id,
        delivery.id,
        delivery.webhook_id,
        delivery.event_id,
        delivery.event_code,
        "sending" if delivery.lease else "pending",
        delivery.lease_until,
        delivery.lease,
        delivery.event_created_at,
        key,
    )


def split(found: Sequence[rows.Row]) -> tuple[set[Key], set[str]]:
    """Return what ``insert_published`` says: the keys that were written, the organizations that changed."""
    written = {(organization_id, key) for organization_id, key, has_changed in found if not has_changed}
    return written, {organization_id for organization_id, _, has_changed in found if has_changed}
