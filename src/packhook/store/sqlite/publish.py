"""An event and its deliveries, in one transaction; what this node has room for is leased to it on the way in."""

from collections.abc import Callable, Sequence
from typing import Any

import apsw

from packhook.core.errors import Conflict, RequestError
from packhook.core.model import LeasedDelivery, PublishRequest, Receipt
from packhook.store import rows
from packhook.store.dispatcher import Capacity
from packhook.store.leasing import Published, Room, first_delivery
from packhook.store.sqlite.asking import SQL, first
from packhook.store.sqlite.filing import Numbers, Pace
from packhook.store.sqlite.tenants import require_organization


def publish(
    db: apsw.Connection,
    publications: Sequence[PublishRequest],
    capacity: Callable[[], Capacity],
    pace: Pace,
    *,
    require_verification: bool = False,
) -> list[Published | RequestError]:
    """Many publish calls in one transaction, a few statements for all; see Store.publish.

    Nothing is written before every call was looked at, so a call that is refused has written nothing.
    """
    fanout = _FanOut(db, Room(capacity()), pace, require_verification)
    answers = [fanout.take(publication) for publication in publications]
    fanout.write()
    return answers


class _FanOut:
    """One transaction's publications: who wants them is asked once for each organization and event code."""

    def __init__(self, db: apsw.Connection, room: Room, pace: Pace, require_verification: bool) -> None:
        self._db = db
        self._pace = pace
        self._hold_unproven = require_verification
        self._room = room
        self._known: set[str] = set()
        self._wanting: dict[tuple[str, str], list[tuple[str, int]]] = {}
        self._remembered: dict[tuple[str, str], tuple[bytes, bytes, int]] = {}
        self._events: list[tuple[Any, ...]] = []
        self._deliveries: list[tuple[Any, ...]] = []
        self._lanes: dict[str, tuple[str, int]] = {}
        self._numbers: Numbers | None = None

    def take(self, publication: PublishRequest) -> Published | RequestError:
        """The answer to one publish call; what it writes is only noted."""
        try:
            self._require_organization(publication.organization_id)
            before = self._answered_before(publication)
        except RequestError as error:
            return error
        if before is not None:
            return Published(before)
        published = self._fan_out(publication)
        self._remember(publication, published.receipts)
        return published

    def write(self) -> None:
        """Everything that was noted, into the database."""
        self._db.executemany(SQL["insert_event"], self._events)
        self._db.executemany(SQL["insert_delivery"], self._deliveries)
        self._db.executemany(SQL["lower_lane"], [(id_, *lane) for id_, lane in self._lanes.items()])
        self._db.executemany(
            SQL["insert_idempotency_key"], [(*key, *answer) for key, answer in self._remembered.items()]
        )
        if self._numbers is not None:
            self._numbers.file_rows(self._db, self._pace)

    def _require_organization(self, organization_id: str) -> None:
        if organization_id not in self._known:
            require_organization(self._db, organization_id)
            self._known.add(organization_id)

    def _answered_before(self, publication: PublishRequest) -> tuple[Receipt, ...] | None:
        asked = publication.idempotency
        if asked is None:
            return None
        where = (publication.organization_id, asked.key)
        found = self._remembered.get(where) or first(
            self._db, SQL["find_idempotency_key"], (*where, asked.stale_before)
        )
        if found is None:
            return None
        if found[0] != asked.fingerprint:
            raise Conflict("this Idempotency-Key came with another body before")
        return rows.receipts_from_bytes(found[1])

    def _remember(self, publication: PublishRequest, receipts: tuple[Receipt, ...]) -> None:
        asked = publication.idempotency
        if asked is not None:
            answer = (asked.fingerprint, rows.receipts_to_bytes(receipts), publication.events[0].created_at)
            self._remembered[publication.organization_id, asked.key] = answer

    def _fan_out(self, publication: PublishRequest) -> Published:
        if self._numbers is None:
            self._numbers = Numbers(self._db)
        numbers = self._numbers
        receipts: list[Receipt] = []
        leased: list[LeasedDelivery] = []
        waiting: set[str] = set()
        for event in publication.events:
            wanting = self._who_wants(event.organization_id, event.event_code)
            number = numbers.next_event()
            self._events.append(
                (number, event.organization_id, event.id, event.event_code, event.data, event.created_at)
            )
            receipts.append(
                Receipt(id=event.id, event_code=event.event_code, created_at=event.created_at, deliveries=len(wanting))
            )
            for webhook_id, version in wanting:
                delivery = first_delivery(event, webhook_id, version, self._room, numbers.next_delivery())
                self._note(delivery, number)
                if delivery.lease:
                    leased.append(delivery)
                else:
                    waiting.add(webhook_id)
        return Published(tuple(receipts), tuple(leased), frozenset(waiting))

    def _who_wants(self, organization_id: str, event_code: str) -> list[tuple[str, int]]:
        wanting = self._wanting.get((organization_id, event_code))
        if wanting is None:
            found: list[Any] = list(self._db.execute(SQL["wanting_webhooks"], (organization_id, event_code)))
            wanting = self._wanting[organization_id, event_code] = found
            if self._hold_unproven:
                held = list(self._db.execute(SQL["webhooks_pending_verification"], (organization_id, event_code)))
                self._room.close(row[0] for row in held)
        return wanting

    def _note(self, delivery: LeasedDelivery, event_number: int) -> None:
        """A row for the delivery; for its lane the earliest instant, but what is handed over is in no lane."""
        leased = bool(delivery.lease)
        self._deliveries.append(
            (
                delivery.place,
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
                event_number,
            )
        )
        if leased:
            return
        lane = self._lanes.get(delivery.webhook_id)
        if lane is None or delivery.lease_until < lane[1]:
            self._lanes[delivery.webhook_id] = (delivery.organization_id, delivery.lease_until)
