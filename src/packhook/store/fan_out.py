"""Make an event's deliveries, the same in both dialects: who gets it, and which of them are leased to this node.

::

    event ─▶ Subscribers.of(event) ─▶ one delivery each ─▶ capacity left? ─▶ leased to this node, sent after the commit
             (cached, verified in     (core/subscription)       └──────────▶ due now, for any node to claim
              the same transaction)

A cache may be out of date at any moment. So each organization has a fingerprint, ``subscriptions_version``, that a
trigger increments with every change of its webhooks. A transaction writes deliveries only where the fingerprint is
still the one that the cached subscribers were read with.

A call makes events x subscribers deliveries, so a small body can be a lot of work: above ``MAX_DELIVERIES_PER_CALL`` it
is refused, and below it is done in slices, between which everything else on the event loop runs.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any, Final, TypeVar

from msgspec import Struct

from packhook.core import ids
from packhook.core.errors import FieldError, InvalidInput
from packhook.core.fairness import MAX_TRANSACTION_WEIGHT, SMALL_WEIGHT
from packhook.core.filters import COMPILED, Filter, union
from packhook.core.model import Event, LeasedDelivery, PublishRequest, Receipt, Urgency
from packhook.core.subscription import Subscription, may_match
from packhook.store.config import StoreConfig
from packhook.store.dispatcher import Capacity
from packhook.store.filter_errors import FilterError

T = TypeVar("T")

MAX_CACHED_SUBSCRIPTIONS = 50_000
MAX_CACHED_CODES: Final = 1_000
"""Of so many event codes an organization's subscribers are remembered: a publisher in SQL may make up any number."""

MAX_DELIVERIES_PER_CALL: Final = 20_000
SLICE_ROWS: Final = 200
"""How many rows are made or written before everything else on the event loop runs."""

BYTES_PER_ROW: Final = 4_096
CHARACTERS_PER_ROW: Final = 20
"""A filter of so many characters takes as long to compile as it takes to make a row."""

UNKNOWN_WEIGHT: Final = 200
"""The weight of a small call whose subscribers are not cached: a batch has few of those. Others count as large."""

NO_ROWIDS: Final[Iterator[int]] = repeat(0)


class Slices:
    """Cut work into slices of about so many rows: ``if slices.ends(rows): await pause()``."""

    def __init__(self, size: int = SLICE_ROWS) -> None:
        self._size = size
        self._rows = 0

    def ends(self, rows: int) -> bool:
        """Count work that was done; return whether a slice ends here."""
        self._rows += rows
        if self._rows < self._size:
            return False
        self._rows = 0
        return True


async def pause() -> None:
    """Let everything else on the event loop run."""
    await asyncio.sleep(0)


def slices(rows: Sequence[Any], size: int = SLICE_ROWS) -> Iterator[Sequence[Any]]:
    """Yield rows in slices of at most ``size``."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def slices_by_weight(items: Sequence[T], weigh: Callable[[T], int], weight: int) -> Iterator[Sequence[T]]:
    """Yield items in slices that weigh at most ``weight``, or are one item."""
    start = total = 0
    for end, item in enumerate(items):
        added = weigh(item)
        if total and total + added > weight:
            yield items[start:end]
            start, total = end, 0
        total += added
    if start < len(items):
        yield items[start:]


def data_weight(data: bytes) -> int:
    """Return about how many rows a row with this in it counts as."""
    return 1 + len(data) // BYTES_PER_ROW


def event_weight(event: Event) -> int:
    """Return about how many rows an event is; large data counts as more rows."""
    return data_weight(event.data)


class PublishOutcome(Struct, frozen=True):
    """Hold the receipts of one publish call, what is leased to this node, and the webhooks whose deliveries wait.

    ``filter_errors``: filters that had no value for an event. ``is_routed``: the deliveries are made after the commit.
    """

    receipts: tuple[Receipt, ...]
    leased: tuple[LeasedDelivery, ...] = ()
    waiting: frozenset[str] = frozenset()
    organization_id: str = ""
    filter_errors: tuple[FilterError, ...] = ()
    is_routed: bool = False


class Candidates(Struct, frozen=True):
    """Hold the subscriptions that get events of one code, unless a filter of theirs is false.

    ``members`` are those of the data that their filters name, None for any.
    """

    subscriptions: tuple[Subscription, ...]
    has_filters: bool
    members: frozenset[str] | None
    reads_event: bool


def published_by(outcomes: Iterable[PublishOutcome]) -> int:
    """Return how many events were published; an idempotent repetition, which names no organization, published none."""
    return sum(len(outcome.receipts) for outcome in outcomes if outcome.organization_id)


class Subscribers:
    """Hold the subscriptions of one organization, as they were at a fingerprint."""

    def __init__(self, version: int, subscriptions: Iterable[Subscription]) -> None:
        self.version = version
        self._subscriptions = tuple(subscriptions)
        self._candidates: dict[str, Candidates] = {}
        self._not_compiled = list(dict.fromkeys(item.filter for item in self._subscriptions if item.filter))
        self.has_filters = bool(self._not_compiled)

    def of(self, event: Event) -> tuple[Subscription, ...]:
        """Return the subscriptions that get this event, unless a filter of theirs is false for it."""
        found = self._candidates.get(event.event_code)
        return found.subscriptions if found is not None else self.candidates(event).subscriptions

    def candidates(self, event: Event) -> Candidates:
        """Return the same with what their filters read; worked out once for each event code."""
        found = self._candidates.get(event.event_code)
        if found is None:
            chosen = tuple(item for item in self._subscriptions if may_match(item, event.event_code))
            filters = [COMPILED.get(item.filter) for item in chosen if item.filter]
            members, reads_event = union(item for item in filters if isinstance(item, Filter))
            found = Candidates(chosen, bool(filters), members, reads_event)
            if len(self._candidates) >= MAX_CACHED_CODES:
                self._candidates.clear()
            self._candidates[event.event_code] = found
        return found

    async def compile_filters(self, slices: Slices) -> None:
        """Compile the filters, once, in slices."""
        while self._not_compiled:
            text = self._not_compiled.pop()
            COMPILED.get(text)
            if slices.ends(1 + len(text) // CHARACTERS_PER_ROW):
                await pause()

    def count_deliveries(self, events: Iterable[Event]) -> int:
        """Return how many deliveries these events make, unless filters are false; at most, before those compile."""
        if self._not_compiled:
            return sum([len(self) for _ in events])
        return sum([len(self.of(event)) for event in events])

    def __len__(self) -> int:
        return len(self._subscriptions)


class SubscriberCache:
    """Cache the subscribers of organizations, about ``MAX_CACHED_SUBSCRIPTIONS`` subscriptions; then begin anew."""

    def __init__(self) -> None:
        self._cached: dict[str, Subscribers] = {}
        self._size = 0

    def get(self, organization_id: str) -> Subscribers | None:
        """Return what is cached, which may be out of date."""
        return self._cached.get(organization_id)

    def put(self, organization_id: str, subscribers: Subscribers) -> None:
        """Cache this in place of what was cached."""
        self.forget(organization_id)
        if self._size > MAX_CACHED_SUBSCRIPTIONS:
            self._cached.clear()
            self._size = 0
        self._cached[organization_id] = subscribers
        self._size += 1 + len(subscribers)

    def forget(self, organization_id: str) -> None:
        """Drop what is cached: it is out of date."""
        dropped = self._cached.pop(organization_id, None)
        if dropped is not None:
            self._size -= 1 + len(dropped)


class OrganizationShares:
    """Track while a transaction leases how much more each organization may get: while it has less than is free."""

    def __init__(self, capacity: Capacity) -> None:
        self._free = capacity.free
        self._queued = capacity.queued
        self._taken: dict[str, int] = {}

    def left_of(self, organization_id: str) -> int:
        """Return how many more deliveries the organization may get; 0 or less: none."""
        return self._free - self._queued.get(organization_id, 0) - self._taken.get(organization_id, 0)

    def take(self, organization_id: str, count: int) -> None:
        """Count deliveries that were leased; a negative number gives some back."""
        self._free -= count
        self._taken[organization_id] = self._taken.get(organization_id, 0) + count


class RemainingCapacity:
    """Track what is left of a node's capacity while one transaction leases deliveries to it."""

    def __init__(self, capacity: Capacity) -> None:
        self.lease = capacity.lease
        self.lease_until = capacity.lease_until
        self._slots = capacity.slots
        self._bytes = capacity.max_bytes
        self._per_lane = capacity.per_lane
        self._excluded: Collection[str] = capacity.excluded
        self._lanes: dict[str, int] = {}
        self._shares = OrganizationShares(capacity)
        self._free_bytes = capacity.free_bytes
        self._queued_bytes = capacity.queued_bytes
        self._taken_bytes: dict[str, int] = {}

    def take(self, webhook_id: str, organization_id: str, size: int) -> bool:
        """Return whether a delivery of this size can be leased to the node, and count it if so."""
        taken = self._lanes.get(webhook_id, 0)
        if self._slots <= 0 or self._bytes < size or taken >= self._per_lane or webhook_id in self._excluded:
            return False
        in_bytes = self._taken_bytes.get(organization_id, 0)
        has_bytes = self._queued_bytes.get(organization_id, 0) + in_bytes < self._free_bytes
        if not has_bytes or self._shares.left_of(organization_id) <= 0:
            return False
        self._shares.take(organization_id, 1)
        self._taken_bytes[organization_id] = in_bytes + size
        self._lanes[webhook_id] = taken + 1
        self._slots -= 1
        self._bytes -= size
        self._free_bytes -= size
        return True


class FanOut:
    """Make the deliveries of one transaction's events; ``rowids`` are the numbers of their rows, if they have any."""

    def __init__(
        self, capacity: Capacity, config: StoreConfig, slices: Slices, rowids: Iterator[int] = NO_ROWIDS
    ) -> None:
        self._remaining = RemainingCapacity(capacity)
        self._slices = slices
        self._rowids = rowids
        self._config = config

    async def deliveries(self, event: Event, subscriptions: Iterable[Subscription]) -> list[LeasedDelivery]:
        """Return one delivery for each subscription, made in slices. A lease of 0 is none: the delivery is due now."""
        made: list[LeasedDelivery] = []
        for subscription in subscriptions:
            made.append(self._delivery(event, subscription))
            if self._slices.ends(1):
                await pause()
        return made

    def _delivery(self, event: Event, subscription: Subscription) -> LeasedDelivery:
        awaits_verification = self._config.require_verification and subscription.verification_pending
        is_sendable = not (awaits_verification or subscription.paused)
        leased = is_sendable and self._remaining.take(subscription.webhook_id, event.organization_id, len(event.data))
        return LeasedDelivery(
            id=ids.delivery_id(event.created_at),
            event_id=event.id,
            webhook_id=subscription.webhook_id,
            webhook_version=subscription.version,
            organization_id=event.organization_id,
            event_code=event.event_code,
            event_created_at=event.created_at,
            data=event.data,
            attempt_count=0,
            attempts_before=0,
            urgency=Urgency.FIRST,
            lease=self._remaining.lease if leased else 0,
            lease_until=self._remaining.lease_until if leased else event.created_at,
            rowid=next(self._rowids),
            trace_context=event.trace_context,
        )


def within_bound(events: Sequence[Event], subscribers: Mapping[str, Subscribers], most: int) -> Sequence[Event]:
    """Return the first events, as many as make at most ``most`` deliveries; at least one."""
    deliveries = 0
    for index, event in enumerate(events):
        own = subscribers.get(event.organization_id)
        deliveries += 0 if own is None else len(own.of(event))
        if index and deliveries > most:
            return events[:index]
    return events


def weigh(request: PublishRequest, subscribers: Subscribers | None) -> int:
    """Return about how many rows a publish call writes, as far as its subscribers are known."""
    rows = sum(map(event_weight, request.events))
    if subscribers is None:
        return max(rows, UNKNOWN_WEIGHT if rows <= SMALL_WEIGHT else MAX_TRANSACTION_WEIGHT + 1)
    return rows + min(subscribers.count_deliveries(request.events), MAX_DELIVERIES_PER_CALL)


class Matched(Struct, frozen=True):
    """Hold who gets each event of a call, and which filters had no value, at most one error for each webhook."""

    subscriptions: Sequence[Sequence[Subscription]]
    errors: tuple[FilterError, ...] = ()


def match_codes(events: Sequence[Event], subscribers: Subscribers) -> Matched | InvalidInput:
    """Return who gets these events where no webhook has a filter; or why the call is refused."""
    count = subscribers.count_deliveries(events) if len(events) * len(subscribers) > MAX_DELIVERIES_PER_CALL else 0
    return refusal_of(count, len(events)) or Matched([subscribers.of(event) for event in events])


def refusal_of(count: int, events: int) -> InvalidInput | None:
    """Return the refusal of a call that makes too many deliveries; None for any other."""
    if count <= MAX_DELIVERIES_PER_CALL:
        return None
    text = f"this batch would make {count} deliveries, at most {MAX_DELIVERIES_PER_CALL} per call: send smaller batches"
    return InvalidInput([FieldError("/events" if events > 1 else "", "too_many_deliveries", text)])


def receipt(event: Event, deliveries: int) -> Receipt:
    """Return the receipt of an event with so many deliveries."""
    return Receipt(id=event.id, event_code=event.event_code, created_at=event.created_at, deliveries=deliveries)


def outcome(
    receipts: Iterable[Receipt],
    deliveries: Sequence[LeasedDelivery],
    organization_id: str = "",
    errors: tuple[FilterError, ...] = (),
    *,
    is_routed: bool = False,
) -> PublishOutcome:
    """Return what a publish call came to, from the deliveries that were made."""
    waiting = [delivery.webhook_id for delivery in deliveries if not delivery.lease]
    leased = [delivery for delivery in deliveries if delivery.lease] if waiting else deliveries
    return PublishOutcome(tuple(receipts), tuple(leased), frozenset(waiting), organization_id, errors, is_routed)
