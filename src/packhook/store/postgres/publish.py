"""Events and their deliveries, in one statement; what this node has room for is leased to it on the way in.

::

    who wants them? ─▶ fan out, lease while there is room ─▶ write all at once ─▶ keys that came before?
    (kept in mind)                                           (proves who wants them)
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from packhook.core.errors import NotFound, PackhookError, Unavailable
from packhook.core.model import Event, LeasedDelivery, PublishRequest, Receipt
from packhook.store.dispatcher import Capacity
from packhook.store.leasing import Published, Room, first_delivery
from packhook.store.postgres.arrays import spelled
from packhook.store.postgres.asking import SQL, Db, columns, sayable
from packhook.store.postgres.keys import Key, Keys
from packhook.store.postgres.wanting import Asked, Wanted, Wants

BYTES_LIKE_A_ROW: Final = 4_096
TRIES: Final = 10

Taken = Published | NotFound | None
"""What a call comes to if its key is new; None where another call of the batch was the first with that key."""


def weigh(publication: PublishRequest) -> int:
    """About how many rows it writes, where much data counts as more rows."""
    return sum(1 + len(event.data) // BYTES_LIKE_A_ROW for event in publication.events)


class Publishing:
    """Many publish calls on their way into the database, together; see Store.publish."""

    def __init__(
        self,
        publications: Sequence[PublishRequest],
        capacity: Callable[[], Capacity],
        wants: Wants,
        *,
        require_verification: bool = False,
    ) -> None:
        self._publications = publications
        self._capacity = capacity
        self._wants = wants
        self._hold_unproven = require_verification
        self._fan_out: _FanOut | None = None
        self._taken: list[Taken] = []

    async def write(self, db: Db) -> list[Published | PackhookError]:
        """The answer to each call. InDoubt where the answer of the database was lost."""
        for _ in range(TRIES):
            wanting = await self._wants.of(db, self._publications)
            fan_out = self._fan_out = _FanOut(await self._room(db), wanting)
            self._taken = [fan_out.take(each) for each in self._publications]
            written, changed = await fan_out.write(db)
            if not changed:
                with db.in_doubt():  # what is written is written
                    return await self._answers(db, fan_out, written)
            self._wants.forget(changed)
        raise Unavailable("the webhooks are changed faster than events can be published")

    async def seek(self, db: Db) -> list[Published | PackhookError] | None:
        """What came of a write that was in doubt: the same answers, or None where it was not done."""
        fan_out = self._fan_out
        if fan_out is None or not await fan_out.is_written(db):
            return None
        return await self._answers(db, fan_out, await fan_out.keys.seek_own(db))

    async def _room(self, db: Db) -> Room:
        room = Room(self._capacity())
        if self._hold_unproven:
            asked = {each.organization_id for each in self._publications if sayable(each.organization_id)}
            room.close(row[0] for row in await db.all(SQL["webhooks_pending_verification"], sorted(asked)))
        return room

    async def _answers(self, db: Db, fan_out: "_FanOut", written: set[Key]) -> list[Published | PackhookError]:
        keys = fan_out.keys
        await keys.look_up(db, written)
        return [keys.answer(*each) for each in zip(self._publications, self._taken, strict=True)]


class _FanOut:
    """One batch of publications: what they are to write is noted, then written at once."""

    def __init__(self, room: Room, wanting: dict[Asked, Wanted]) -> None:
        self.keys = Keys()
        self._room = room
        self._wanting = wanting
        self._events: list[tuple[Any, ...]] = []
        self._deliveries: list[tuple[Any, ...]] = []

    def take(self, publication: PublishRequest) -> Taken:
        """What this call comes to; what it writes is only noted."""
        asked_for = [(each.organization_id, each.event_code) for each in publication.events]
        if not self._wanting.keys() >= set(asked_for):
            return NotFound(f"no organization {publication.organization_id!r}")
        wanted = [self._wanting[each] for each in asked_for]
        receipts = tuple(map(_receipt, publication.events, wanted))
        asked = publication.idempotency
        if asked is not None and not self.keys.add(publication, asked, receipts):
            return None
        key = None if asked is None else asked.key
        leased: list[LeasedDelivery] = []
        waiting: set[str] = set()
        for event, wanting in zip(publication.events, wanted, strict=True):
            self._events.append((event.organization_id, event.id, event.event_code, event.data, event.created_at, key))
            for webhook_id, version in wanting.webhooks:
                delivery = first_delivery(event, webhook_id, version, self._room)
                self._note(delivery, key)
                if delivery.lease:
                    leased.append(delivery)
                else:
                    waiting.add(webhook_id)
        return Published(receipts, tuple(leased), frozenset(waiting))

    async def write(self, db: Db) -> tuple[set[Key], set[Asked]]:
        """Everything that was noted, into the database: the keys that are new. Or nothing: for whom that was wrong."""
        if not self._events:
            return set(), set()
        proofs = [(*asked, wanted.proof) for asked, wanted in self._wanting.items()]
        rows = await db.alone(
            SQL["insert_published"],
            *columns(proofs, 3),
            *self.keys.values(),
            self.keys.stale_before,
            *spelled(columns(self._events, 6), "www-nt"),
            *spelled(columns(self._deliveries, 10), "wwwwwwnnnt"),
        )
        written: set[Key] = {(row[0], row[1]) for row in rows if not row[2]}
        return written, {(row[0], row[1]) for row in rows if row[2]}

    async def is_written(self, db: Db) -> bool:
        """Whether some of what was noted is in the database: all of it is then, save for keys that came before."""
        asked = [event[:2] for event in self._events]
        return bool(asked and await db.all(SQL["find_events"], *columns(asked, 2)))

    def _note(self, delivery: LeasedDelivery, key: str | None) -> None:
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
                key,
            )
        )


def _receipt(event: Event, wanted: Wanted) -> Receipt:
    return Receipt(
        id=event.id, event_code=event.event_code, created_at=event.created_at, deliveries=len(wanted.webhooks)
    )
