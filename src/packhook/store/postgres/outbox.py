"""Fan out the events that ``packhook.publish()`` stored in its callers' transactions.

::

    publish() in SQL ─ COMMIT ─▶ outbox ─ notification, or poll ─▶ lock ─ fan out ─ delete from outbox ─ COMMIT ─▶ lanes
                                                                   └──────── one transaction ────────┘

One node at a time holds the lock, so deliveries are made in the order in which the events were published. A node that
dies in between has changed nothing: the next one does it. Losing a notification costs at most a poll.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import structlog

from packhook.core.model import Event
from packhook.core.subject import with_subject
from packhook.store import rows
from packhook.store.dispatcher import Capacity
from packhook.store.fan_out import MAX_DELIVERIES_PER_CALL, FanOut, PublishOutcome, Subscribers, outcome, receipt
from packhook.store.postgres.idempotency import IdempotencyBatch
from packhook.store.postgres.publish import PublishedRows, split
from packhook.store.postgres.queries import SQL, Db, to_arrays
from packhook.store.postgres.subscribers import SubscriberLoader

_log: Final = structlog.get_logger("packhook.store")

POLL_SECONDS: Final = 2.0
BATCH_SIZE: Final = 500

Transact = Callable[[Callable[[Db], Awaitable[PublishOutcome | None]]], Awaitable[PublishOutcome | None]]
"""Run work in a transaction."""


class Outbox:
    """Fan out whenever there is something. Created inside the running event loop.

    ``transact`` runs work in a transaction, ``on_commit`` gets what was made once it is durable.
    """

    def __init__(
        self,
        transact: Transact,
        capacity: Callable[[], Capacity],
        loader: SubscriberLoader,
        on_commit: Callable[[PublishOutcome], None],
    ) -> None:
        self._transact = transact
        self._capacity = capacity
        self._loader = loader
        self._on_commit = on_commit
        self._wakeup = asyncio.Event()
        self._closing = False
        self._task = asyncio.get_running_loop().create_task(self._run(), name="packhook-outbox")

    def wake(self) -> None:
        """Look into the outbox now."""
        self._wakeup.set()

    async def close(self) -> None:
        """Finish the batch in progress, and begin no other."""
        self._closing = True
        self._wakeup.set()
        await self._task

    async def _run(self) -> None:
        while not self._closing:
            self._wakeup.clear()
            try:
                if await self._fan_out_batch():
                    continue
            except Exception as error:  # noqa: BLE001 whatever it was, nothing was changed, and the poll tries again
                _log.warning("outbox_failed", detail=f"{type(error).__name__}: {error}")
            await self._wait()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._wakeup.wait()
        except TimeoutError:
            return

    async def _fan_out_batch(self) -> bool:
        """Return whether there may be more."""
        made = await self._transact(lambda db: fan_out(db, self._capacity, self._loader))
        if made is None:
            return False
        self._on_commit(made)
        return True


async def fan_out(db: Db, capacity: Callable[[], Capacity], loader: SubscriberLoader) -> PublishOutcome | None:
    """Make the deliveries of the next events; None where there are none, or another node is doing it."""
    row = await db.fetch_one(SQL["lock_outbox"])
    if row is None or not row[0]:
        return None
    events = [with_subject(rows.EVENTS.read(row)) for row in await db.fetch_all(SQL["list_unrouted"], BATCH_SIZE)]
    if not events:
        return None
    while (made := await _write(db, events, capacity(), loader)) is None:
        pass
    await _write_subjects(db, events[: len(made.receipts)])
    await db.fetch_all(SQL["delete_routed"], [made_of.id for made_of in made.receipts])
    return made


async def _write(
    db: Db, events: Sequence[Event], capacity: Capacity, loader: SubscriberLoader
) -> PublishOutcome | None:
    """Write the deliveries of the first of these events; None where a webhook changed, and nothing was written.

    As many events as make ``MAX_DELIVERIES_PER_CALL`` deliveries, and at least one: the others are the next batch. An
    event of an organization that was deleted gets none.
    """
    subscribers = await loader.load(db, [event.organization_id for event in events])
    published = PublishedRows(subscribers)
    deliver = FanOut(capacity, db.config, published.slices)
    events = _within_bound(events, subscribers)
    deliveries = [
        delivery
        for event in events
        if event.organization_id in subscribers
        for delivery in await deliver.deliveries(event, subscribers[event.organization_id])
    ]
    await published.add_deliveries(deliveries, None)
    _, changed = split(await db.fetch_all(SQL["insert_published"], *await published.values(IdempotencyBatch())))
    if changed:
        loader.forget(changed)
        return None
    return outcome([receipt(event, 0) for event in events], deliveries)


async def _write_subjects(db: Db, events: Sequence[Event]) -> None:
    """Write what events are about: the caller's transaction stored them without it."""
    found = [
        (event.organization_id, event.id, event.subject, event.reference_1, event.reference_2, event.reference_3)
        for event in events
        if event.subject or event.references
    ]
    if found:
        await db.fetch_all(SQL["set_subjects"], *to_arrays(found, 6))


def _within_bound(events: Sequence[Event], subscribers: Mapping[str, Subscribers]) -> Sequence[Event]:
    """Return the first events, as many as one transaction takes; at least one."""
    deliveries = 0
    for index, event in enumerate(events):
        own = subscribers.get(event.organization_id)
        deliveries += 0 if own is None else len(own.of(event))
        if index and deliveries > MAX_DELIVERIES_PER_CALL:
            return events[:index]
    return events
