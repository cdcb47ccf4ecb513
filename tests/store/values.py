"""Build values for the stores' tests, with short calls for common questions, and a dispatcher that remembers."""

import hashlib
import itertools
from collections.abc import Collection, Sequence
from typing import Any, Final

from packhook.core import ids
from packhook.core.audit import Action, Actor, AuditEntry, entry
from packhook.core.clock import MINUTE
from packhook.core.fairness import MAX_TRANSACTION_WEIGHT
from packhook.core.model import (
    ApiKey,
    Attempt,
    AttemptResult,
    Delivery,
    DeliveryStatus,
    Event,
    Idempotency,
    LeasedDelivery,
    Organization,
    PublishRequest,
    Receipt,
    Verdict,
    Webhook,
)
from packhook.store.base import ClaimRequest, ClaimResult, PageRequest, Store
from packhook.store.dispatcher import Capacity
from packhook.store.sqlite.claim import MAX_CLAIMED
from packhook.testing.clock import START
from support.api_node import eventually
from support.values import replaced

ACME: Final = "acme"
OTHER: Final = "other"
LEASE: Final = MINUTE
ALL: Final = PageRequest(limit=1_000)
PLENTY: Final = 1_000
PLENTY_OF_BYTES: Final = 1 << 30

_leases: Final = itertools.count(1)


class FakeDispatcher:
    """Offer the capacity it was given, and remember what it gets."""

    def __init__(self, *, slots: int = 0, max_bytes: int = PLENTY_OF_BYTES, closed: Collection[str] = ()) -> None:
        self.slots = slots
        self.max_bytes = max_bytes
        self.closed = closed
        self.lease_until = START + LEASE
        self.enqueued: list[LeasedDelivery] = []
        self.notified: list[tuple[frozenset[str], int]] = []
        self.changes: list[str] = []

    def capacity(self) -> Capacity:
        """Return the capacity, under a lease of its own."""
        return capacity(self.lease_until, slots=self.slots, max_bytes=self.max_bytes, closed=self.closed)

    def enqueue(self, leased: Sequence[LeasedDelivery]) -> None:
        """Remember the deliveries."""
        self.enqueued += leased

    def notify_due(self, webhook_ids: Collection[str], due_at: int) -> None:
        """Remember the hint."""
        self.notified.append((frozenset(webhook_ids), due_at))

    def invalidate(self, webhook_id: str) -> None:
        """Remember the hint."""
        self.changes.append(webhook_id)


def capacity(
    lease_until: int,
    *,
    slots: int = PLENTY,
    max_bytes: int = PLENTY_OF_BYTES,
    closed: Collection[str] = (),
) -> Capacity:
    """Return a capacity under a lease that no other has."""
    return Capacity(
        lease=next(_leases), lease_until=lease_until, slots=slots, max_bytes=max_bytes, excluded=frozenset(closed)
    )


def organization(organization_id: str = ACME, **changes: Any) -> Organization:  # noqa: ANN401 a field has its own type
    """Return an organization."""
    plain = Organization(id=organization_id, name=organization_id.title(), created_at=START)
    return replaced(plain, **changes)


def api_key(organization_id: str = ACME, **changes: Any) -> ApiKey:  # noqa: ANN401 as above
    """Return an API key."""
    plain = ApiKey(
        id=ids.api_key_id(),
        organization_id=organization_id,
        name="shop",
        scopes=("events:publish", "events:read"),
        prefix="pk_q9Nh",
        created_at=START,
    )
    return replaced(plain, **changes)


def hash_of(key: str) -> bytes:
    """Return the SHA-256 of a key."""
    return hashlib.sha256(key.encode()).digest()


def webhook(organization_id: str = ACME, **changes: Any) -> Webhook:  # noqa: ANN401 as above
    """Return an enabled webhook for ``order.created``."""
    plain = Webhook(
        id=ids.webhook_id(),
        organization_id=organization_id,
        event_code="order.created",
        endpoint="https://myapp.packcloud.local/order-created",
        secret="q9NhjkjV9o",
        enabled=True,
        created_at=START,
        updated_at=START,
        version=1,
    )
    return replaced(plain, **changes)


def next_version(of: Webhook, **changes: Any) -> Webhook:  # noqa: ANN401 as above
    """Return the webhook with these changes, as its next version."""
    return replaced(of, **{"version": of.version + 1, **changes})


def event(organization_id: str = ACME, **changes: Any) -> Event:  # noqa: ANN401 as above
    """Return an ``order.created`` event."""
    plain = Event(
        id=ids.event_id(),
        organization_id=organization_id,
        event_code="order.created",
        data=b'{"id":"ord_1","status":"created"}',
        created_at=START,
    )
    return replaced(plain, **changes)


def publication(*events: Event, idempotency: Idempotency | None = None) -> PublishRequest:
    """Return one publish call of these events, which are of one organization."""
    return PublishRequest(organization_id=events[0].organization_id, events=events, idempotency=idempotency)


def new_entry(action: Action = Action.WEBHOOK_UPDATED, **changes: Any) -> AuditEntry:  # noqa: ANN401 as above
    """Return an audit entry, for a change whose entry the test does not check."""
    plain = entry(action, Actor(name="operator", source="192.0.2.7"), START, organization_id=ACME, object_id="thing")
    return replaced(plain, **changes)


async def add_webhook(store: Store, organization_id: str = ACME, **changes: Any) -> Webhook:  # noqa: ANN401 as above
    """Store a webhook and return it."""
    stored = webhook(organization_id, **changes)
    await store.create_webhook(stored, new_entry())
    return stored


async def publish(store: Store, count: int = 1, organization_id: str = ACME, **changes: Any) -> list[Event]:  # noqa: ANN401 as above
    """Publish so many events in one call and return them, once their deliveries are made."""
    events = [event(organization_id, **changes) for _ in range(count)]
    receipts = await store.publish(publication(*events))
    if sum(receipt.deliveries for receipt in receipts) > MAX_TRANSACTION_WEIGHT:
        await made(store, organization_id, receipts)
    return events


async def made(store: Store, organization_id: str, receipts: Sequence[Receipt]) -> tuple[Delivery, ...]:
    """Wait until the deliveries of a call are made, and return those of its last event, which are made last."""

    async def of_last() -> tuple[Delivery, ...]:
        return (await store.get_event(organization_id, receipts[-1].id))[1]

    return await eventually(of_last, lambda found: len(found) == receipts[-1].deliveries)


async def ask(
    store: Store,
    now: int,
    *,
    slots: int = PLENTY,
    max_bytes: int = PLENTY_OF_BYTES,
    per_lane: int = PLENTY,
    closed: Collection[str] = (),
    lease_for: int = LEASE,
) -> ClaimResult:
    """Claim all that is due, or less."""
    offered = capacity(now + lease_for, slots=slots, max_bytes=max_bytes, closed=closed)
    return await store.claim(ClaimRequest(now=now, capacity=offered, per_lane=per_lane))


async def claim(store: Store, now: int, *, lease_for: int = LEASE) -> tuple[LeasedDelivery, ...]:
    """Claim all that is due, in as many transactions as that takes, and return it."""
    claimed: tuple[LeasedDelivery, ...] = ()
    while found := (await ask(store, now, lease_for=lease_for)).deliveries:
        claimed += found
        if len(found) < MAX_CLAIMED:
            break
    return claimed


async def claim_one(store: Store, now: int) -> LeasedDelivery:
    """Claim the only delivery that is due and return it."""
    (leased,) = await claim(store, now)
    return leased


def attempt(leased: LeasedDelivery, at: int, **changes: Any) -> Attempt:  # noqa: ANN401 as above
    """Return the next attempt of this delivery; it began at ``at`` and took 7 ms."""
    plain = Attempt(
        number=leased.attempt_count + 1,
        started_at=at,
        duration=7,
        url="https://myapp.packcloud.local/order-created",
        request_headers=f'{{"webhook-id":"{leased.event_id}"}}',
        status_code=200,
        response_headers=(("server", "shop"),),
        response_body=b"ok",
    )
    return replaced(plain, **changes)


def delivered(leased: LeasedDelivery, at: int) -> AttemptResult:
    """Return the result of a successful attempt."""
    return AttemptResult(delivery=leased, attempt=attempt(leased, at), verdict=Verdict(status=DeliveryStatus.DELIVERED))


def failed(leased: LeasedDelivery, at: int, **verdict: Any) -> AttemptResult:  # noqa: ANN401 as above
    """Return a failed attempt: to be retried where the verdict has a ``next_attempt_at``, exhausted otherwise."""
    again = verdict.get("next_attempt_at") is not None
    code, words = "unsuccessful_status", "answered 500 Internal Server Error"
    return AttemptResult(
        delivery=leased,
        attempt=attempt(leased, at, status_code=500, error_code=code, error_message=words),
        verdict=Verdict(
            status=DeliveryStatus.PENDING if again else DeliveryStatus.EXHAUSTED,
            error_code=code,
            error_message=words,
            **verdict,
        ),
    )


async def status_of(store: Store, leased: LeasedDelivery) -> DeliveryStatus:
    """Return the stored status of a delivery."""
    delivery, _ = await store.get_delivery(leased.organization_id, leased.id)
    return delivery.status


def ids_of(things: Sequence[LeasedDelivery]) -> list[str]:
    """Return the deliveries' ids, in their order."""
    return [thing.id for thing in things]
