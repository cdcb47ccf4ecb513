"""Fan out what the outbox holds. Only this process fills it, so nothing is written where it is known to be empty."""

from collections.abc import Callable, Sequence
from typing import Final

from packhook.store import rows
from packhook.store.dispatcher import Capacity
from packhook.store.fan_out import PublishOutcome, SubscriberCache
from packhook.store.sqlite.connection import Connection
from packhook.store.sqlite.publish import PublishBatch
from packhook.store.sqlite.queries import SQL, fetch_all

BATCH_SIZE: Final = 250
MAX_DELIVERIES: Final = 2_000
"""How many deliveries a transaction makes, unless one event alone makes more."""


def is_filled(db: Connection) -> bool:
    """Return whether the outbox holds something."""
    return bool(fetch_all(db, SQL["list_unrouted"], (1,)))


async def fan_out(
    db: Connection, asked: Sequence[None], capacity: Callable[[], Capacity], cache: SubscriberCache
) -> list[PublishOutcome]:
    """Make the deliveries of the next events for the first who asked, and nothing for the others."""
    events = list(map(rows.EVENTS.read, fetch_all(db, SQL["list_unrouted"], (BATCH_SIZE,))))
    if not events:
        db.outbox_filled = False
        return [PublishOutcome(()) for _ in asked]
    batch = PublishBatch(db, capacity(), cache)
    made = await batch.fan_out(events, MAX_DELIVERIES)
    await batch.write()
    done = [(event.organization_id, event.id) for event in events[: len(made.receipts)]]
    db.executemany(SQL["delete_routed"], done)
    return [made, *(PublishOutcome(()) for _ in asked[1:])]
