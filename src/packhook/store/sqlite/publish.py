"""Write events and their deliveries in one transaction; lease what this node has capacity for on the way in.

A call with more deliveries than a transaction should write is written with outbox entries: they follow in slices
(``outbox.py``).
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from operator import attrgetter
from typing import Any, Final, NamedTuple

from packhook.core.errors import Conflict, InvalidInput, NotFound, RequestError
from packhook.core.fairness import MAX_TRANSACTION_WEIGHT
from packhook.core.idempotency import CONFLICT
from packhook.core.model import Event, LeasedDelivery, PublishRequest, Receipt
from packhook.core.subscription import Subscription
from packhook.store import rows
from packhook.store.dispatcher import Capacity
from packhook.store.fan_out import (
    SLICE_ROWS,
    FanOut,
    Matched,
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
    weigh,
)
from packhook.store.filter_errors import FilterError
from packhook.store.matching import match, match_one
from packhook.store.sqlite.connection import Connection
from packhook.store.sqlite.decisions import Decisions
from packhook.store.sqlite.queries import SQL, fetch_all, fetch_one

UNDECIDED: Final = PublishOutcome(())
"""The answer to a call whose filters are to be evaluated first; nothing was written for it."""

_webhook_id: Final = attrgetter("webhook_id")


async def publish(
    db: Connection,
    requests: Sequence[PublishRequest],
    capacity: Callable[[], Capacity],
    cache: SubscriberCache,
    decisions: Decisions,
    *,
    may_defer: bool = False,
) -> list[PublishOutcome | RequestError]:
    """Write many publish calls in one transaction, a few statements for all; see Store.publish.

    Nothing is written before every call was examined, so a call that is refused has written nothing. Between slices of
    the work everything else on the event loop runs, but nothing else uses this connection. ``may_defer``: the answer
    may be UNDECIDED; else whatever is not decided is decided here.
    """
    batch = PublishBatch(db, capacity(), cache, decisions)
    answers = [await batch.add(request, may_defer=may_defer) for request in requests]
    await batch.write()
    return answers


class Routed(NamedTuple):
    """Say what was made of events that the outbox holds.

    ``done`` have all their deliveries; ``partly`` is an event that has some, and its last webhook so far. ``undecided``
    is an event whose filters are to be evaluated first.
    """

    outcome: PublishOutcome
    done: tuple[Event, ...]
    partly: tuple[Event, str] | None
    undecided: Event | None

    @property
    def last(self) -> Event | None:
        """Return the last event that got deliveries."""
        return self.partly[0] if self.partly else self.done[-1] if self.done else None


class PublishBatch:
    """Collect the rows of one transaction: of publish calls, or of events that the outbox holds."""

    def __init__(self, db: Connection, capacity: Capacity, cache: SubscriberCache, decisions: Decisions) -> None:
        (last_rowid,) = fetch_all(db, SQL["last_delivery_rowid"])[0]
        self._db = db
        self._cache = cache
        self._decisions = decisions
        self._slices = Slices()
        self._fan_out = FanOut(capacity, db.store_config, self._slices, count(last_rowid + 1))
        self._verified: dict[str, Subscribers] = {}
        self._responses: dict[tuple[str, str], tuple[bytes, bytes, int]] = {}
        self._event_rowids = count(fetch_all(db, SQL["last_event_rowid"])[0][0] + 1)
        self._events: list[Sequence[Any]] = []
        self._event_weight = 0
        self._deliveries: list[Sequence[Any]] = []
        self._lanes: dict[str, tuple[str, int]] = {}
        self._routed: list[tuple[str, str]] = []

    async def add(self, request: PublishRequest, *, may_defer: bool) -> PublishOutcome | RequestError:
        """Return the answer to one publish call, and collect what it writes."""
        try:
            subscribers = self._subscribers(request.organization_id)
            stored = self._stored_response(request)
        except RequestError as error:
            return error
        if stored is not None:
            return PublishOutcome(stored)
        matched = await self._match(request, subscribers, may_defer=may_defer)
        if matched is None:
            return UNDECIDED
        if isinstance(matched, InvalidInput):
            return matched
        published = await self._write_deliveries(request, matched)
        self._store_response(request, published.receipts)
        return published

    async def _match(
        self, request: PublishRequest, subscribers: Subscribers, *, may_defer: bool
    ) -> Matched | InvalidInput | None:
        """Return who gets the events of a call; None where that is to be decided before the transaction."""
        if not subscribers.has_filters:
            return match_codes(request.events, subscribers)
        if self._decisions:
            found = [self._decisions.find(event, subscribers.version) for event in request.events]
            decided = [decision for decision in found if decision is not None]
            if len(decided) == len(found):
                return Matched([decision.subscriptions for decision in decided], decided[0].errors)
        if may_defer and weigh(request, subscribers) > MAX_TRANSACTION_WEIGHT:
            return None
        return await match(request.events, subscribers, self._slices)

    async def _write_deliveries(self, request: PublishRequest, matched: Matched) -> PublishOutcome:
        """Collect the events with their deliveries, or with outbox entries where those are many."""
        is_routed = sum(map(len, matched.subscriptions)) > MAX_TRANSACTION_WEIGHT
        receipts: list[Receipt] = []
        made: list[LeasedDelivery] = []
        for event, subscriptions in zip(request.events, matched.subscriptions, strict=True):
            self._events.append((next(self._event_rowids), *rows.NEW_EVENTS.values(event)))
            self._event_weight += event_weight(event)
            receipts.append(receipt(event, len(subscriptions)))
            if is_routed:
                self._routed.append((event.organization_id, event.id))
            else:
                made += await self._make_deliveries(event, subscriptions)
            if self._slices.ends(1):
                await pause()
        return outcome(receipts, made, request.organization_id, matched.errors, is_routed=is_routed)

    async def route(self, entries: Iterable[tuple[Event, str]], most: int) -> Routed:
        """Collect the deliveries of the first of these stored events, and say what they come to.

        ``entries`` are events, and through which webhook their deliveries are made. About as many are made as ``most``;
        evaluating a filter counts as making a delivery. None are made in an organization that was deleted.
        """
        left = most
        made: list[LeasedDelivery] = []
        errors: list[FilterError] = []
        done: list[Event] = []
        partly = undecided = None
        for event, through in entries:
            found = await self._match_stored(event, most)
            if found is None:
                undecided = event
                break
            matched, evaluated = found
            errors += matched.errors
            subscriptions = matched.subscriptions[0]
            waiting = subscriptions[bisect_right(subscriptions, through, key=_webhook_id) :]
            made += await self._make_deliveries(event, waiting[:left])
            if len(waiting) > left:
                partly = (event, waiting[left - 1].webhook_id)
                break
            done.append(event)
            left -= max(event_weight(event), evaluated, len(waiting))
            if left <= 0:
                break
        touched = [*done, partly[0]] if partly else done
        receipts = [receipt(event, 0) for event in touched]
        return Routed(outcome(receipts, made, errors=tuple(errors)), tuple(done), partly, undecided)

    async def _match_stored(self, event: Event, most: int) -> tuple[Matched, int] | None:
        """Return who gets a stored event, and how many filters were evaluated; None if ``most`` are not enough."""
        try:
            subscribers = self._subscribers(event.organization_id)
        except NotFound:
            return Matched(((),)), 0
        candidates = subscribers.candidates(event)
        if not candidates.has_filters:
            return Matched((candidates.subscriptions,)), 0
        decision = self._decisions.find(event, subscribers.version)
        if decision is not None:
            return Matched((decision.subscriptions,)), 0
        count = len(candidates.subscriptions)
        return None if count > most else (await match_one(event, subscribers, self._slices), count)

    async def _make_deliveries(self, event: Event, subscriptions: Sequence[Subscription]) -> list[LeasedDelivery]:
        made = await self._fan_out.deliveries(event, subscriptions)
        for delivery in made:
            self._collect(delivery)
        return made

    async def write(self) -> None:
        """Write everything that was collected."""
        await self._write("insert_event", self._events, self._event_weight // max(1, len(self._events)))
        if self._routed:
            await self._write("insert_outbox", self._routed)
            self._db.outbox_filled = True
            self._db.wake_outbox()
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
