"""Events and their deliveries, in one transaction; what this node has room for is leased to it on the way in.

::

    who wants them? ─▶ keys that came before? ─▶ fan out, lease while there is room ─▶ write all at once
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from packhook.core.errors import Conflict, NotFound, RequestError, Unavailable
from packhook.core.way import Event, Idempotency, LeasedDelivery, Publication, Receipt
from packhook.store import rows
from packhook.store.handover import Offer
from packhook.store.leasing import Published, Room, first_delivery
from packhook.store.postgres.asking import SQL, Db, columns, sayable

BYTES_LIKE_A_ROW: Final = 4_096

Wanting = dict[tuple[str, str], list[tuple[str, int]]]
"""The ids and versions of the webhooks that want an organization's events of a code."""

Key = tuple[str, str]
"""An organization, and an ``Idempotency-Key`` of it."""


def weigh(publication: Publication) -> int:
    """About how many rows it writes, where much data counts as more rows."""
    return sum(1 + len(event.data) // BYTES_LIKE_A_ROW for event in publication.events)


async def publish(
    db: Db, publications: Sequence[Publication], offer: Callable[[], Offer], *, hold_unproven: bool = False
) -> list[Published | RequestError]:
    """Many publish calls in one transaction, a few statements for all; see Store.publish."""
    wanting = await _who_wants(db, publications)
    answers = await _answer_before(db, publications, wanting)
    room = Room(offer())
    if hold_unproven:
        asked = {each.organization_id for each in publications if sayable(each.organization_id)}
        room.close(row[0] for row in await db.all(SQL["unproven_webhooks"], sorted(asked)))
    fanout = _FanOut(room, wanting)
    published = [answer or fanout.take(each) for each, answer in zip(publications, answers, strict=True)]
    await fanout.write(db)
    return published


async def _who_wants(db: Db, publications: Sequence[Publication]) -> Wanting:
    """Organizations that are not there have no entry; those that are have one at least, of the code ""."""
    asked = {each.organization_id for each in publications if sayable(each.organization_id)}
    codes = {event.event_code for each in publications for event in each.events if sayable(event.event_code)}
    wanting: Wanting = defaultdict(list)
    for organization_id, code, webhook_id, version in await db.all(
        SQL["wanting_webhooks"], sorted(asked), sorted(codes)
    ):
        wanting[organization_id, ""] = []
        if code is not None:
            wanting[organization_id, code].append((webhook_id, version))
    return dict(wanting)


def _receipts(publication: Publication, wanting: Wanting) -> tuple[Receipt, ...]:
    return tuple(
        Receipt(
            id=event.id,
            event_code=event.event_code,
            created_at=event.created_at,
            deliveries=len(wanting.get((event.organization_id, event.event_code), ())),
        )
        for event in publication.events
    )


# --- idempotency keys


async def _answer_before(
    db: Db, publications: Sequence[Publication], wanting: Wanting
) -> list[Published | RequestError | None]:
    """Answers without publishing: there is no such organization, or the key came before. None: go on."""
    answers: list[Published | RequestError | None] = []
    first: dict[Key, Publication] = {}
    for each in publications:
        if (each.organization_id, "") not in wanting:
            answers.append(NotFound(f"no organization {each.organization_id!r}"))
            continue
        answers.append(None)
        if each.idempotency is not None:
            first.setdefault((each.organization_id, each.idempotency.key), each)
    if not first:
        return answers
    known = await _remember(db, first, wanting)
    for number, each in enumerate(publications):
        if answers[number] is None and each.idempotency is not None:
            key = each.organization_id, each.idempotency.key
            if key in known or each is not first[key]:
                answers[number] = _same(each.idempotency, *(known.get(key) or _memory(first[key], wanting)))
    return answers


def _memory(publication: Publication, wanting: Wanting) -> tuple[bytes, bytes]:
    """What is remembered of a publication: the request's fingerprint, and the answer."""
    assert publication.idempotency is not None  # noqa: S101 only such are remembered
    return publication.idempotency.fingerprint, rows.receipts_to_bytes(_receipts(publication, wanting))


def _same(asked: Idempotency, fingerprint: bytes, receipts: bytes) -> Published | Conflict:
    if fingerprint != asked.fingerprint:
        return Conflict("this Idempotency-Key came with another body before")
    return Published(rows.receipts_from_bytes(receipts))


async def _remember(db: Db, first: dict[Key, Publication], wanting: Wanting) -> dict[Key, tuple[bytes, bytes]]:
    """Write the keys that are new; of the others, what is known of them. In order, so that nobody waits in a circle."""
    keys = sorted(first)
    stale = [(*key, _asked(first[key]).stale_before) for key in keys]
    await db.all(SQL["forget_stale_keys"], *columns(stale, 3))
    new = [(*key, *_memory(first[key], wanting), first[key].events[0].created_at) for key in keys]
    written = {(row[0], row[1]) for row in await db.all(SQL["insert_idempotency_key"], *columns(new, 5))}
    others = [key for key in keys if key not in written]
    if not others:
        return {}
    found = await db.all(SQL["find_idempotency_key"], *columns(others, 2))
    if len(found) < len(others):
        raise Unavailable("an Idempotency-Key was swept while it came again")
    return {(row[0], row[1]): (row[2], row[3]) for row in found}


def _asked(publication: Publication) -> Idempotency:
    assert publication.idempotency is not None  # noqa: S101 only such are remembered
    return publication.idempotency


# --- fan-out


class _FanOut:
    """One transaction's publications: what they are to write is noted, then written at once."""

    def __init__(self, room: Room, wanting: Wanting) -> None:
        self._room = room
        self._wanting = wanting
        self._events: list[tuple[Any, ...]] = []
        self._deliveries: list[tuple[Any, ...]] = []
        self._calls: dict[str, tuple[str, int]] = {}

    def take(self, publication: Publication) -> Published:
        """The answer to one publish call."""
        leased: list[LeasedDelivery] = []
        waiting: set[str] = set()
        for event in publication.events:
            self._events.append((event.organization_id, event.id, event.event_code, event.data, event.created_at))
            for delivery in self._deliveries_of(event):
                self._note(delivery)
                if delivery.lease:
                    leased.append(delivery)
                else:
                    waiting.add(delivery.webhook_id)
        return Published(_receipts(publication, self._wanting), tuple(leased), frozenset(waiting))

    async def write(self, db: Db) -> None:
        """Everything that was noted, into the database."""
        if self._events:
            calls = [(webhook_id, *call) for webhook_id, call in self._calls.items()]
            await db.all(
                SQL["insert_published"],
                *columns(self._events, 5),
                *columns(self._deliveries, 9),
                *columns(calls, 3),
            )

    def _deliveries_of(self, event: Event) -> Iterable[LeasedDelivery]:
        for webhook_id, version in self._wanting.get((event.organization_id, event.event_code), ()):
            yield first_delivery(event, webhook_id, version, self._room)

    def _note(self, delivery: LeasedDelivery) -> None:
        """A row for the delivery; for its lane the earliest instant at which one of them is claimable."""
        self._deliveries.append(
            (
                delivery.organization_id,
                delivery.id,
                delivery.webhook_id,
                delivery.event_id,
                delivery.event_code,
                "sending" if delivery.lease else "pending",
                delivery.lease_until,
                delivery.lease,
                delivery.event_created_at,
            )
        )
        call = self._calls.get(delivery.webhook_id)
        if call is None or delivery.lease_until < call[1]:
            self._calls[delivery.webhook_id] = (delivery.organization_id, delivery.lease_until)
