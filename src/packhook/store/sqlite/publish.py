"""An event and its deliveries, in one transaction; what this node has room for is leased to it on the way in."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import apsw

from packhook.core import ids
from packhook.core.errors import Conflict, RequestError
from packhook.core.model import Event, LeasedDelivery, Urgency
from packhook.store import rows
from packhook.store.base import Offer, Publication, Receipt
from packhook.store.sqlite.asking import SQL, first
from packhook.store.sqlite.tenants import require_organization


@dataclass(frozen=True, slots=True)
class Published:
    """What one publish call came to: the answer, what is leased to this node, and which lanes have the others."""

    receipts: tuple[Receipt, ...]
    leased: tuple[LeasedDelivery, ...] = ()
    waiting: frozenset[str] = frozenset()


@dataclass(slots=True)
class Room:
    """What is left of an offer while a transaction hands it out."""

    offer: Offer
    deliveries: int = field(init=False)
    data: int = field(init=False)

    def __post_init__(self) -> None:
        self.deliveries = self.offer.room
        self.data = self.offer.room_bytes

    def take(self, webhook_id: str, size: int) -> bool:
        """Whether this delivery can be leased to the node; if so its room is taken."""
        if self.deliveries <= 0 or self.data < size or webhook_id in self.offer.closed:
            return False
        self.deliveries -= 1
        self.data -= size
        return True


def publish(
    db: apsw.Connection, publications: Sequence[Publication], offer: Callable[[], Offer]
) -> list[Published | RequestError]:
    """Many publish calls in one transaction; see Store.publish."""
    room = Room(offer())
    answers: list[Published | RequestError] = []
    for publication in publications:
        try:
            answers.append(_publish_one(db, publication, room))
        except RequestError as error:
            answers.append(error)
    return answers


def _publish_one(db: apsw.Connection, publication: Publication, room: Room) -> Published:
    require_organization(db, publication.organization_id)
    before = _answered_before(db, publication)
    if before is not None:
        return Published(before)
    published = _store(db, publication, room)
    _remember(db, publication, published.receipts)
    return published


def _answered_before(db: apsw.Connection, publication: Publication) -> tuple[Receipt, ...] | None:
    asked = publication.idempotency
    if asked is None:
        return None
    row = first(db, SQL["find_idempotency_key"], (publication.organization_id, asked.key, asked.stale_before))
    if row is None:
        return None
    if row[0] != asked.fingerprint:
        raise Conflict("this Idempotency-Key came with another body before")
    return rows.receipts_from_bytes(row[1])


def _remember(db: apsw.Connection, publication: Publication, receipts: tuple[Receipt, ...]) -> None:
    asked = publication.idempotency
    if asked is not None:
        answer = rows.receipts_to_bytes(receipts)
        now = publication.events[0].created_at
        db.execute(
            SQL["insert_idempotency_key"],
            (publication.organization_id, asked.key, asked.fingerprint, answer, now),
        )


def _store(db: apsw.Connection, publication: Publication, room: Room) -> Published:
    wanting = {
        code: _wanting(db, publication.organization_id, code) for code in {e.event_code for e in publication.events}
    }
    db.executemany(SQL["insert_event"], (_event_values(event) for event in publication.events))
    deliveries = [
        (event, _delivery(event, webhook_id, version, room))
        for event in publication.events
        for webhook_id, version in wanting[event.event_code]
    ]
    db.executemany(SQL["insert_delivery"], (_delivery_values(event, delivery) for event, delivery in deliveries))
    _lower_lanes(db, deliveries)
    return Published(
        receipts=tuple(
            Receipt(
                id=event.id,
                event_code=event.event_code,
                created_at=event.created_at,
                deliveries=len(wanting[event.event_code]),
            )
            for event in publication.events
        ),
        leased=tuple(delivery for _, delivery in deliveries if delivery.lease),
        waiting=frozenset(delivery.webhook_id for _, delivery in deliveries if not delivery.lease),
    )


def _wanting(db: apsw.Connection, organization_id: str, event_code: str) -> list[Any]:
    return list(db.execute(SQL["wanting_webhooks"], (organization_id, event_code)))


def _event_values(event: Event) -> tuple[Any, ...]:
    return (event.organization_id, event.id, event.event_code, event.data, event.created_at)


def _delivery(event: Event, webhook_id: str, version: int, room: Room) -> LeasedDelivery:
    """The delivery, leased where there is room for it; a lease of 0 is none, and then it is claimable at once."""
    leased = room.take(webhook_id, len(event.data))
    return LeasedDelivery(
        id=ids.delivery_id(),
        event_id=event.id,
        webhook_id=webhook_id,
        webhook_version=version,
        organization_id=event.organization_id,
        event_code=event.event_code,
        event_created_at=event.created_at,
        data=event.data,
        attempt_count=0,
        attempts_before=0,
        urgency=Urgency.FIRST,
        lease=room.offer.lease if leased else 0,
        lease_until=room.offer.lease_until if leased else event.created_at,
    )


def _delivery_values(event: Event, delivery: LeasedDelivery) -> tuple[Any, ...]:
    return (
        delivery.id,
        delivery.organization_id,
        delivery.webhook_id,
        delivery.event_id,
        delivery.event_code,
        "sending" if delivery.lease else "pending",
        delivery.lease_until,
        delivery.lease,
        event.created_at,
    )


def _lower_lanes(db: apsw.Connection, deliveries: Iterable[tuple[Event, LeasedDelivery]]) -> None:
    """One statement a lane, not one a delivery."""
    ordered = sorted(
        (delivery.webhook_id, delivery.organization_id, delivery.lease_until) for _, delivery in deliveries
    )
    for _, lane in groupby(ordered, key=lambda values: values[0]):
        db.execute(SQL["lower_lane"], next(lane))
