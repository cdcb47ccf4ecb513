"""Fan out the events that ``packhook.publish()`` stored in its callers' transactions, and operational events.

::

    publish() in SQL ─ COMMIT ─▶ outbox ─ notification, or poll ─▶ lock ─ fan out ─ delete from outbox ─ COMMIT ─▶ lanes
                                                                   └──────── one transaction ────────┘

One node at a time holds the lock, so an organization's deliveries are made in the order in which its events were
published; organizations are served in turn. A node that dies in between has changed nothing: the next one does it.
Losing a notification costs at most a poll.

Where the database refuses a batch, its events are tried one by one. The one that is refused alone stays in the outbox,
marked and with the reason, and the others go on. So does an event whose data break the schema of its type: SQL cannot
check that where it is published, and no receiver shall get what the API would have refused.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog
from msgspec import structs

from packhook.core.clock import Clock, SystemClock
from packhook.core.errors import FieldError, RowRefused, Unavailable
from packhook.core.event_types import Catalogue
from packhook.core.model import Event, LeasedDelivery
from packhook.core.subject import INVALID
from packhook.store import rows
from packhook.store.dispatcher import Capacity
from packhook.store.fan_out import FanOut, PublishOutcome, Slices, event_weight, outcome, pause, receipt, within_bound
from packhook.store.filter_errors import FilterError
from packhook.store.matching import match_one
from packhook.store.outbox import FanOutLoop
from packhook.store.postgres.connection import database_errors
from packhook.store.postgres.event_types import CatalogueCache
from packhook.store.postgres.idempotency import IdempotencyBatch
from packhook.store.postgres.publish import STATEMENT_WEIGHT, PublishedRows
from packhook.store.postgres.queries import SQL, Db, to_arrays
from packhook.store.postgres.subscribers import SubscriberLoader
from packhook.store.refused_events import MAX_REASON

_log: Final = structlog.get_logger("packhook.store")

BATCH_SIZE: Final = 250
BATCH_BYTES: Final = 4 * 1024 * 1024
MAX_ORGANIZATIONS: Final = 50
"""Of how many organizations a batch has events; the next batch begins with the others."""

MAX_DELIVERIES: Final = STATEMENT_WEIGHT


class EventRefused(Exception):
    """Signal that the deliveries of this event alone could not be written; the cause says why."""

    def __init__(self, event: Event) -> None:
        super().__init__(event.id)
        self.event = event


class Outbox(FanOutLoop):
    """Fan out whenever there is something. Created inside the running event loop.

    ``transact`` runs work in a transaction, ``on_commit`` gets what was made once it is durable. ``refused`` counts the
    events that this node gave up.
    """

    def __init__(
        self,
        transact: Callable[[Callable[[Db], Awaitable[object]]], Awaitable[object]],
        capacity: Callable[[], Capacity],
        loader: SubscriberLoader,
        event_types: CatalogueCache,
        on_commit: Callable[[Sequence[PublishOutcome]], None],
        clock: Clock,
    ) -> None:
        self._transact = transact
        self._turns = OutboxTurns(capacity, loader, event_types, clock)
        self._on_commit = on_commit
        self._clock = clock
        self.refused = 0
        super().__init__(self._fan_out_batch)

    async def _fan_out_batch(self) -> bool:
        """Return whether there may be more."""
        try:
            made = await self._transact(self._turns.fan_out)
        except EventRefused as refused:
            await self._refuse(refused.event, refused.__cause__)
            return True
        except Exception as error:
            if self._turns.at_most == 1 or _is_away(error):
                raise
            self._turns.at_most = 1
            return True
        if not isinstance(made, PublishOutcome):
            return False
        self._turns.at_most = min(2 * self._turns.at_most, BATCH_SIZE)
        for event, reason in self._turns.refused:
            self._say_refused(event, reason)
        self._on_commit([made])
        return True

    async def _refuse(self, event: Event, cause: BaseException | None) -> None:
        """Mark an event as given up; the node that does it says so."""
        detail = f"{type(cause).__name__}: {cause}"[:MAX_REASON].replace("\0", "")
        values = event.id, self._clock.now(), detail
        if await self._transact(lambda db: db.fetch_all(SQL["refuse_routing"], *values)):
            self._say_refused(event, detail)

    def _say_refused(self, event: Event, reason: str) -> None:
        self.refused += 1
        _log.error(
            "outbox_event_refused",
            event_id=event.id,
            organization_id=event.organization_id,
            count=self.refused,
            detail=reason,
        )


class OutboxTurns:
    """Serve the organizations in turn, a batch at a time; ``at_most`` so many events at once.

    ``refused`` are the events that the last batch gave up, with the reasons.
    """

    def __init__(
        self,
        capacity: Callable[[], Capacity],
        loader: SubscriberLoader,
        event_types: CatalogueCache | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._capacity = capacity
        self._loader = loader
        self._event_types = event_types or CatalogueCache()
        self._clock = clock or SystemClock()
        self._after = ""
        self.at_most = BATCH_SIZE
        self.refused: list[tuple[Event, str]] = []

    async def fan_out(self, db: Db) -> PublishOutcome | None:
        """Make the deliveries of the next events; None where there are none, or another node is doing it.

        Raises EventRefused where the only event of the batch cannot be written.
        """
        row = await db.fetch_one(SQL["lock_outbox"])
        if row is not None and row[1] != self._event_types.catalogue.version:
            await self._event_types.load(db)
        if row is None or not row[0]:
            return None
        listed = await self._next(db)
        if not listed:
            return None
        events, found = await self._judge(db, listed)
        try:
            with database_errors():
                while (made := await _write(db, found, self._capacity(), self._loader)) is None:
                    pass
                done = len(made.receipts)
                await _write_subjects(
                    db, [new for new, old in zip(found[:done], events[:done], strict=True) if new != old]
                )
        except Exception as error:
            if len(events) == 1 and not _is_away(error):
                raise EventRefused(events[0]) from error
            raise
        if len(await db.fetch_all(SQL["delete_routed"], [made_of.id for made_of in made.receipts])) < len(
            made.receipts
        ):
            raise Unavailable("an event was erased while its deliveries were made; trying again")
        served = {event.organization_id for event in events[: len(made.receipts)]}
        self._after = max(served) if len(served) > 1 else ""
        return made

    async def _judge(self, db: Db, listed: Sequence[Event]) -> tuple[list[Event], list[Event]]:
        """Give up the events whose data break the schema; return the others, as stored and with what they are about."""
        catalogue = self._event_types.catalogue
        slices, stored, found = Slices(), [], []
        self.refused = []
        for event in listed:
            try:
                found.append(_about(event, catalogue))
                stored.append(event)
            except INVALID:
                reader = catalogue.reader(event.event_code)
                reason = _reason([] if reader is None else reader.violations(event.data, ""))
                self.refused.append((event, reason))
                await db.fetch_all(SQL["refuse_routing"], event.id, self._clock.now(), reason)
            if slices.ends(event_weight(event)):
                await pause()
        return stored, found

    async def _next(self, db: Db) -> list[Event]:
        values = self.at_most, BATCH_BYTES, MAX_ORGANIZATIONS
        found = await db.fetch_all(SQL["list_unrouted"], self._after, *values)
        if not found and self._after:
            self._after = ""
            found = await db.fetch_all(SQL["list_unrouted"], self._after, *values)
        return list(map(rows.EVENTS.read, found))


async def _write(
    db: Db, events: Sequence[Event], capacity: Capacity, loader: SubscriberLoader
) -> PublishOutcome | None:
    """Write the deliveries of the first of these events; None where a webhook changed, and nothing was written.

    As many events as make ``MAX_DELIVERIES``, and at least one: the others are the next batch. An event of an
    organization that was deleted gets none.
    """
    subscribers = await loader.load(db, [event.organization_id for event in events])
    published = PublishedRows(subscribers)
    deliver = FanOut(capacity, db.config, published.slices)
    events = within_bound(events, subscribers, MAX_DELIVERIES)
    deliveries: list[LeasedDelivery] = []
    errors: list[FilterError] = []
    for event in events:
        if event.organization_id in subscribers:
            matched = await match_one(event, subscribers[event.organization_id], published.slices)
            deliveries += await deliver.deliveries(event, matched.subscriptions[0])
            errors += matched.errors
    published.add_deliveries(deliveries, None)
    _, changed = await published.write_in_slices(db, IdempotencyBatch())
    if changed:
        loader.forget(changed)
        return None
    return outcome([receipt(event, 0) for event in events], deliveries, errors=tuple(errors))


def _about(event: Event, catalogue: Catalogue) -> Event:
    """Return an event with its subject and references. Raises one of INVALID where its data break the schema."""
    reader = catalogue.reader(event.event_code)
    if reader is None or catalogue.is_operational(event.event_code) or event.erased_at is not None:
        return event
    return structs.replace(event, **structs.asdict(reader.read(event.data)))


def _reason(violations: Sequence[FieldError]) -> str:
    text = "; ".join(f"{error.field or 'data'}: {error.message}" for error in violations)
    return f"the data break the schema of the event type: {text}"[:MAX_REASON].replace("\0", "")


async def _write_subjects(db: Db, events: Sequence[Event]) -> None:
    """Write what events are about that ``packhook.publish()`` stored without it."""
    found = [
        (event.organization_id, event.id, event.subject, event.reference_1, event.reference_2, event.reference_3)
        for event in events
    ]
    if found:
        await db.fetch_all(SQL["set_subjects"], *to_arrays(found, 6))


def _is_away(error: Exception) -> bool:
    """Return True if any other event would fail as well."""
    return isinstance(error, Unavailable) and not isinstance(error, RowRefused)
