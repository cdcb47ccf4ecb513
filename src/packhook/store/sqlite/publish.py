"""Write events and their deliveries in one transaction; lease what this node has capacity for on the way in."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from typing import Any

from packhook.core.errors import Conflict, InvalidInput, NotFound, RequestError
from packhook.core.idempotency import CONFLICT
from packhook.core.model import Event, LeasedDelivery, PublishRequest, Receipt
from packhook.core.subscription import Subscription
from packhook.store import rows
from packhook.store.dispatcher import Capacity
from packhook.store.fan_out import (
    SLICE_ROWS,
    FanOut,
    PublishOutcome,
    Slices,
    SubscriberCache,
    Subscribers,
    event_weight,
    match_codes,
    outcome,
    pause,
    receipt,
    slices,
    within_bound,
)
from packhook.store.filter_errors import FilterError
from packhook.store.matching import match, match_one
from packhook.store.sqlite.connection import Connection
from packhook.store.sqlite.queries import SQL, fetch_all, fetch_one


async def publish(
    db: Connection, requests: Sequence[PublishRequest], capacity: Callable[[], Capacity], cache: SubscriberCache
) -> list[PublishOutcome | RequestError]:
    """Write many publish calls in one transaction, a few statements for all; see Store.publish.

    Nothing is written before every call was examined, so a call that is refused has written nothing. Between slices of
    the work everything else on the event loop runs, but nothing else uses this connection.
    """
    batch = PublishBatch(db, capacity(), cache)
    answers = [await batch.add(request) for request in requests]
    await batch.write()
    return answers


class PublishBatch:
    """Collect the rows of one transaction: of publish calls, or of events that the outbox holds."""

    def __init__(self, db: Connection, capacity: Capacity, cache: SubscriberCache) -> None:
        (last_rowid,) = fetch_all(db, SQL["last_delivery_rowid"])[0]
        self._db = db
        self._cache = cache
        self._slices = Slices()
        self._fan_out = FanOut(capacity, db.store_config, self._slices, count(last_rowid + 1))
        self._verified: dict[str, Subscribers] = {}
        self._responses: dict[tuple[str, str], tuple[bytes, bytes, int]] = {}
        self._event_rowids = count(fetch_all(db, SQL["last_event_rowid"])[0][0] + 1)
        self._events: list[Sequence[Any]] = []
        self._event_weight = 0
        self._deliveries: list[Sequence[Any]] = []
        self._lanes: dict[str, tuple[str, int]] = {}

    async def add(self, request: PublishRequest) -> PublishOutcome | RequestError:
        """Return the answer to one publish call, and collect what it writes."""
        try:
            subscribers = self._subscribers(request.organization_id)
            stored = self._stored_response(request)
        except RequestError as error:
            return error
        if stored is not None:
            return PublishOutcome(stored)
        matched = (
            await match(request.events, subscribers, self._slices)
            if subscribers.has_filters
            else match_codes(request.events, subscribers)
        )
        if isinstance(matched, InvalidInput):
            return matched
        receipts: list[Receipt] = []
        made: list[LeasedDelivery] = []
        for event, subscriptions in zip(request.events, matched.subscriptions, strict=True):
            deliveries = await self._make_deliveries(event, subscriptions)
            self._events.append((next(self._event_rowids), *rows.NEW_EVENTS.values(event)))
            self._event_weight += event_weight(event)
            receipts.append(receipt(event, len(deliveries)))
            made += deliveries
            if self._slices.ends(1):
                await pause()
        published = outcome(receipts, made, request.organization_id, matched.errors)
        self._store_response(request, published.receipts)
        return published

    async def fan_out(self, events: Sequence[Event], most: int) -> PublishOutcome:
        """Return what the first of these stored events come to, and collect their deliveries.

        As many as make ``most`` deliveries, and at least one; none are made in an organization that was deleted.
        """
        subscribers: dict[str, Subscribers] = {}
        for event in events:
            with suppress(NotFound):
                subscribers[event.organization_id] = self._subscribers(event.organization_id)
        events = within_bound(events, subscribers, most)
        made: list[LeasedDelivery] = []
        errors: list[FilterError] = []
        for event in events:
            if event.organization_id in subscribers:
                matched = await match_one(event, subscribers[event.organization_id], self._slices)
                made += await self._make_deliveries(event, matched.subscriptions[0])
                errors += matched.errors
        return outcome([receipt(event, 0) for event in events], made, errors=tuple(errors))

    async def _make_deliveries(self, event: Event, subscriptions: Sequence[Subscription]) -> list[LeasedDelivery]:
        made = await self._fan_out.deliveries(event, subscriptions)
        for delivery in made:
            self._collect(delivery)
        return made

    async def write(self) -> None:
        """Write everything that was collected."""
        await self._write("insert_event", self._events, self._event_weight // max(1, len(self._events)))
        await self._write("insert_delivery", self._deliveries)
        await self._write("lower_lane_due_at", [(id_, *lane) for id_, lane in self._lanes.items()])
        await self._write("insert_idempotency_key", [(*key, *response) for key, response in self._responses.items()])

    async def _write(self, statement: str, values: Sequence[Sequence[Any]], weight: int = 1) -> None:
        """Write rows in slices; ``weight`` is what one of them weighs on average."""
        for some in slices(values, max(1, SLICE_ROWS // max(1, weight))):
            self._db.executemany(SQL[statement], some)
            if self._slices.ends(len(some) * weight):
                await pause()

    def _subscribers(self, organization_id: str) -> Subscribers:
        """Return an organization's subscribers as this transaction sees them. Raises NotFound."""
        verified = self._verified.get(organization_id)
        if verified is not None:
            return verified
        row = fetch_one(self._db, SQL["subscriptions_version"], (organization_id,))
        if row is None:
            raise NotFound(f"no organization {organization_id!r}")
        cached = self._cache.get(organization_id)
        if cached is None or cached.version != row[0]:
            cached = self._load_subscribers(organization_id)
            self._cache.put(organization_id, cached)
        self._verified[organization_id] = cached
        return cached

    def _load_subscribers(self, organization_id: str) -> Subscribers:
        found = fetch_all(self._db, SQL["list_subscriptions"], (organization_id,))
        return Subscribers(found[0][0], [rows.subscription(row[1:]) for row in found if row[1] is not None])

    def _stored_response(self, request: PublishRequest) -> tuple[Receipt, ...] | None:
        """Return what was answered to this idempotency key before. Raises Conflict where the request was another."""
        idempotency = request.idempotency
        if idempotency is None:
            return None
        key = (request.organization_id, idempotency.key)
        found = self._responses.get(key) or fetch_one(
            self._db, SQL["find_idempotency_key"], (*key, idempotency.stale_before)
        )
        if found is None:
            return None
        if found[0] != idempotency.fingerprint:
            raise Conflict(CONFLICT)
        return rows.receipts_from_bytes(found[1])

    def _store_response(self, request: PublishRequest, receipts: tuple[Receipt, ...]) -> None:
        idempotency = request.idempotency
        if idempotency is not None:
            response = (idempotency.fingerprint, rows.receipts_to_bytes(receipts), request.events[0].created_at)
            self._responses[request.organization_id, idempotency.key] = response

    def _collect(self, delivery: LeasedDelivery) -> None:
        """Collect the delivery's row, and its lane's earliest instant; a leased delivery is in no lane."""
        leased = bool(delivery.lease)
        self._deliveries.append(
            (
                delivery.rowid,
                delivery.id,
                delivery.organization_id,
                delivery.webhook_id,
                delivery.event_id,
                delivery.event_code,
                "sending" if leased else "pending",
                None if leased else delivery.lease_until,
                delivery.lease_until if leased else None,
                delivery.lease,
                delivery.event_created_at,
            )
        )
        if leased:
            return
        lane = self._lanes.get(delivery.webhook_id)
        if lane is None or delivery.lease_until < lane[1]:
            self._lanes[delivery.webhook_id] = (delivery.organization_id, delivery.lease_until)
