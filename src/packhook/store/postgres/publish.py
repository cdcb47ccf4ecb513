"""Write events and their deliveries in one statement; lease what this node has capacity for on the way in.

::

    subscribers ─▶ fan out, lease while there is capacity ─▶ write all at once ─▶ idempotency keys that came before?
    (cached)                                                 (verifies the subscribers; if out of date, try again)

What is too much for one statement, which asyncpg encodes at one go, is written in slices within a transaction. The
first statement verifies the subscribers and writes the keys, so it decides what the others write.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final, TypeVar

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
    match_codes,
    outcome,
    pause,
    receipt,
    slices,
    slices_by_weight,
)
from packhook.store.matching import match
from packhook.store.postgres.group_commit import TooLarge
from packhook.store.postgres.idempotency import IdempotencyBatch, Key
from packhook.store.postgres.queries import SQL, Db, to_arrays
from packhook.store.postgres.subscribers import SubscriberLoader

MAX_TRIES: Final = 20
EVENT_COLUMNS: Final = len(rows.NEW_EVENTS.columns) + 1
DELIVERY_COLUMNS: Final = 10
STATEMENT_WEIGHT: Final = 2_000
"""About how many rows one statement writes: asyncpg encodes them at one go."""

UNSTABLE: Final = "webhooks change faster than events can be published"

E = TypeVar("E", Event, LeasedDelivery)

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
        """Return the answer to each call. Raises CommitOutcomeUnknown, and TooLarge before anything is written."""
        for _ in range(MAX_TRIES):
            published = await self._make_rows(db)
            if published.weight > STATEMENT_WEIGHT:
                raise TooLarge
            written, changed = await published.write(db, self._keys)
            if not changed:
                with db.outcome_unknown_on_error():  # it is written by now
                    return await self._answers(db, written)
            self._loader.forget(changed)
        raise Unavailable(UNSTABLE)

    async def write_in_slices(self, db: Db) -> list[PublishOutcome | PackhookError]:
        """Return the answer to each call; nothing is durable before the transaction is committed."""
        published = self._rows or await self._make_rows(db)
        for _ in range(MAX_TRIES):
            written, changed = await published.write_in_slices(db, self._keys)
            if not changed:
                return await self._answers(db, written)
            self._loader.forget(changed)
            published = await self._make_rows(db)
        raise Unavailable(UNSTABLE)

    async def recover(self, db: Db) -> list[PublishOutcome | PackhookError] | None:
        """Return the same answers for a write with an unknown outcome; None where it was not done."""
        if self._rows is None or not await self._rows.are_written(db):
            return None
        return await self._answers(db, await self._keys.find_written(db))

    async def _make_rows(self, db: Db) -> "PublishedRows":
        """Return what the calls write, with subscribers that may be out of date."""
        subscribers = await self._loader.load(db, [request.organization_id for request in self._requests])
        published = self._rows = PublishedRows(subscribers)
        self._keys = IdempotencyBatch()
        fan_out = FanOut(self._capacity(), db.config, published.slices)
        self._provisional = [await self._add(request, fan_out, subscribers, published) for request in self._requests]
        return published

    async def _add(
        self,
        request: PublishRequest,
        fan_out: FanOut,
        subscribers: dict[str, Subscribers],
        published: "PublishedRows",
    ) -> Provisional:
        """Return what this call comes to, and collect what it writes."""
        subscribed = subscribers.get(request.organization_id)
        if subscribed is None:
            return NotFound(f"no organization {request.organization_id!r}")
        matched = (
            await match(request.events, subscribed, published.slices)
            if subscribed.has_filters
            else match_codes(request.events, subscribed)
        )
        if isinstance(matched, InvalidInput):
            self._keys.add_refused(request)
            return matched
        pairs = zip(request.events, matched.subscriptions, strict=True)
        deliveries = [await fan_out.deliveries(event, subscriptions) for event, subscriptions in pairs]
        receipts = tuple(receipt(event, len(made)) for event, made in zip(request.events, deliveries, strict=True))
        idempotency = request.idempotency
        if idempotency is not None and not self._keys.add(request, idempotency, receipts):
            return None
        key = None if idempotency is None else idempotency.key
        for event in request.events:
            published.add_event(event, key)
            if published.slices.ends(event_weight(event)):
                await pause()
        made = [delivery for of_event in deliveries for delivery in of_event]
        published.add_deliveries(made, key)
        return outcome(receipts, made, request.organization_id, matched.errors)

    async def _answers(self, db: Db, written: set[Key]) -> list[PublishOutcome | PackhookError]:
        await self._keys.look_up(db, written)
        return [
            self._keys.answer(request, provisional)
            for request, provisional in zip(self._requests, self._provisional, strict=True)
        ]


class PublishedRows:
    """Collect the rows that publish calls write, and write them with one ``insert_published``, or several."""

    def __init__(self, subscribers: dict[str, Subscribers]) -> None:
        self.slices = Slices()
        self.weight = 0
        self._subscribers = subscribers
        self._events: list[tuple[Event, str | None]] = []
        self._deliveries: list[tuple[LeasedDelivery, str | None]] = []

    def add_event(self, event: Event, key: str | None) -> None:
        """Collect an event; it is left out where its key came before."""
        self._events.append((event, key))
        self.weight += event_weight(event)

    def add_deliveries(self, deliveries: Sequence[LeasedDelivery], key: str | None) -> None:
        """Collect deliveries; they are left out where their key came before."""
        self._deliveries += [(delivery, key) for delivery in deliveries]
        self.weight += len(deliveries)

    async def write(self, db: Db, keys: IdempotencyBatch) -> tuple[set[Key], set[str]]:
        """Write everything with one statement, which is a transaction of its own.

        Return the keys that were written, or nothing is and these organizations' subscribers are out of date.
        """
        if not self._events:
            return set(), set()
        values = *self._decisive_values(keys), *_event_arrays(self._events), *await self._delivery_arrays()
        return split(await db.execute_autocommit(SQL["insert_published"], *values))

    async def write_in_slices(self, db: Db, keys: IdempotencyBatch) -> tuple[set[Key], set[str]]:
        """Do the same with statements of bounded size, within the transaction that has begun."""
        written, changed = split(
            await db.fetch_all(SQL["insert_published"], *self._decisive_values(keys), *_NO_EVENTS, *_NO_DELIVERIES)
        )
        if changed:
            return written, changed
        for events in slices_by_weight(_chosen(self._events, written), _weight, STATEMENT_WEIGHT):
            await db.fetch_all(SQL["insert_published"], *_DECIDED, *_event_arrays(events), *_NO_DELIVERIES)
        self._deliveries = _chosen(self._deliveries, written)
        for start in range(0, len(self._deliveries), STATEMENT_WEIGHT):
            deliveries = await self._delivery_arrays(start, start + STATEMENT_WEIGHT)
            await db.fetch_all(SQL["insert_published"], *_DECIDED, *_NO_EVENTS, *deliveries)
        return written, changed

    def _decisive_values(self, keys: IdempotencyBatch) -> list[Any]:
        """Return the subscribers' fingerprints and the idempotency keys: what decides which rows are written."""
        used = [(organization_id, subscribers.version) for organization_id, subscribers in self._subscribers.items()]
        return [*to_arrays(used, 2), *keys.values(), keys.stale_before]

    async def _delivery_arrays(self, start: int = 0, end: int | None = None) -> tuple[list[Any], ...]:
        arrays: tuple[list[Any], ...] = tuple([] for _ in range(DELIVERY_COLUMNS))
        for some in slices(self._deliveries[start:end]):
            columns = zip(*(_delivery_values(delivery, key) for delivery, key in some), strict=True)
            for array, column in zip(arrays, columns, strict=True):
                array.extend(column)
            if self.slices.ends(len(some)):
                await pause()
        return arrays

    async def are_written(self, db: Db) -> bool:
        """Return whether some event is in the database: then all are, but those whose keys came before."""
        wanted = [(event.organization_id, event.id) for event, _ in self._events]
        return bool(wanted and await db.fetch_all(SQL["find_events"], *to_arrays(wanted, 2)))


def _event_arrays(events: Sequence[tuple[Event, str | None]]) -> tuple[list[Any], ...]:
    return to_arrays([(*rows.NEW_EVENTS.values(event), key) for event, key in events], EVENT_COLUMNS)


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


_NO_EVENTS: Final = to_arrays((), EVENT_COLUMNS)
_NO_DELIVERIES: Final = to_arrays((), DELIVERY_COLUMNS)
_DECIDED: Final = (*to_arrays((), 2), *IdempotencyBatch().values(), 0)
"""The first values of a statement whose rows were decided on before."""


def _chosen(found: Sequence[tuple[E, str | None]], written: Collection[Key]) -> list[tuple[E, str | None]]:
    """Return what is to be written, without keys: what had none, and what came with a key that was written."""
    return [(item, None) for item, key in found if key is None or (item.organization_id, key) in written]


def _weight(event: tuple[Event, str | None]) -> int:
    return event_weight(event[0])


def split(found: Sequence[rows.Row]) -> tuple[set[Key], set[str]]:
    """Return what ``insert_published`` says: the keys that were written, the organizations that changed."""
    written = {(organization_id, key) for organization_id, key, has_changed in found if not has_changed}
    return written, {organization_id for organization_id, _, has_changed in found if has_changed}
