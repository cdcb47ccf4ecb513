"""Fan out what the outbox holds. Only this process fills it, so nothing is written where it is known to be empty.

Where the database refuses a batch, its first half is tried, and so on. The event that is refused alone stays in the
outbox, marked and with the reason, and the others go on.
"""

from collections.abc import Callable, Sequence
from typing import Final

import structlog

from packhook.core.clock import Clock
from packhook.core.errors import RowRefused
from packhook.core.model import Event
from packhook.store import rows
from packhook.store.dispatcher import Capacity
from packhook.store.fan_out import PublishOutcome, SubscriberCache
from packhook.store.refused_events import MAX_REASON
from packhook.store.sqlite.connection import Connection
from packhook.store.sqlite.publish import PublishBatch
from packhook.store.sqlite.queries import SQL, database_errors, fetch_all

_log: Final = structlog.get_logger("packhook.store")

BATCH_SIZE: Final = 250
MAX_DELIVERIES: Final = 2_000
"""How many deliveries a transaction makes, unless one event alone makes more."""


def is_filled(db: Connection) -> bool:
    """Return whether the outbox holds something."""
    return bool(fetch_all(db, SQL["list_unrouted"], (1,)))


async def fan_out(
    db: Connection, asked: Sequence[None], capacity: Callable[[], Capacity], cache: SubscriberCache, clock: Clock
) -> list[PublishOutcome]:
    """Make the deliveries of the next events for the first who asked, and nothing for the others."""
    at_most = BATCH_SIZE
    while events := list(map(rows.EVENTS.read, fetch_all(db, SQL["list_unrouted"], (at_most,)))):
        try:
            made = await _write(db, events, capacity(), cache)
        except RowRefused as error:
            if len(events) == 1:
                _refuse(db, events[0], clock.now(), str(error)[:MAX_REASON])
            at_most = max(1, len(events) // 2)
            continue
        return [made, *(PublishOutcome(()) for _ in asked[1:])]
    db.outbox_filled = False
    return [PublishOutcome(()) for _ in asked]


async def _write(db: Connection, events: Sequence[Event], capacity: Capacity, cache: SubscriberCache) -> PublishOutcome:
    """Write the deliveries of the first of these events, or nothing where the database refuses a row."""
    with database_errors(), db:
        batch = PublishBatch(db, capacity, cache)
        made = await batch.fan_out(events, MAX_DELIVERIES)
        await batch.write()
        done = [(event.organization_id, event.id) for event in events[: len(made.receipts)]]
        db.executemany(SQL["delete_routed"], done)
    return made


def _refuse(db: Connection, event: Event, now: int, reason: str) -> None:
    """Mark an event as given up, and say so."""
    db.execute(SQL["refuse_routing"], (event.id, now, reason))
    _log.error("outbox_event_refused", event_id=event.id, organization_id=event.organization_id, detail=reason)
