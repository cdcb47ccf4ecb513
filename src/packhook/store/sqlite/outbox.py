"""Fan out what the outbox holds, a slice at a time: operational events, and calls with many deliveries.

Only this process fills it, so nothing is written where it is known to be empty. Organizations are served in turn: what
is left of a large call comes when the others were served. An event may need several transactions: its entry says
through which webhook its deliveries are made, so none is made twice, whenever the process dies.

Where the database refuses a slice, half of its events are tried, and so on. The event that is refused alone stays in
the outbox, marked and with the reason, and the others go on.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import structlog
from msgspec import Struct

from packhook.core.clock import Clock
from packhook.core.errors import RowRefused
from packhook.core.fairness import SHARED_WEIGHT
from packhook.core.model import Event
from packhook.store import rows
from packhook.store.dispatcher import Capacity
from packhook.store.fan_out import PublishOutcome, SubscriberCache
from packhook.store.refused_events import MAX_REASON
from packhook.store.sqlite.connection import Connection
from packhook.store.sqlite.decisions import Decisions
from packhook.store.sqlite.publish import PublishBatch, Routed
from packhook.store.sqlite.queries import SQL, database_errors, fetch_all, fetch_one

_log: Final = structlog.get_logger("packhook.store")

MAX_EVENTS: Final = 250
MAX_DELIVERIES: Final = SHARED_WEIGHT
"""About how many deliveries a transaction makes."""


class FanOutStep(Struct, frozen=True):
    """Say what one transaction came to. ``drained``: watched organizations with nothing in the outbox any more.

    ``undecided`` is an event whose filters are to be evaluated first. ``more``: there may be more in the outbox.
    """

    outcome: PublishOutcome = PublishOutcome(())
    done: tuple[Event, ...] = ()
    drained: frozenset[str] = frozenset()
    undecided: Event | None = None
    more: bool = False


def waiting_organizations(db: Connection) -> list[str]:
    """Return the organizations whose events wait in the outbox."""
    return [organization_id for (organization_id,) in fetch_all(db, SQL["list_waiting_organizations"])]


class FanOutTurns:
    """Serve the organizations in turn, a transaction at a time. ``watched``: those whose calls wait for the outbox."""

    def __init__(
        self, capacity: Callable[[], Capacity], cache: SubscriberCache, decisions: Decisions, clock: Clock
    ) -> None:
        self._capacity = capacity
        self._cache = cache
        self._decisions = decisions
        self._clock = clock
        self._after = ""
        self._taken = 0
        self.watched: set[str] = set()

    async def fan_out(self, db: Connection, asked: Sequence[None]) -> list[FanOutStep]:
        """Make the next deliveries for the first who asked, and nothing for the others."""
        return [await self._step(db), *(FanOutStep() for _ in asked[1:])]

    async def _step(self, db: Connection) -> FanOutStep:
        at_most = MAX_EVENTS
        while self._has_next(db):
            try:
                routed = await self._write(db, at_most)
            except RowRefused as error:
                if self._taken == 1:
                    ((event, _),) = self._entries(db, 1)
                    self._refuse(db, event, str(error)[:MAX_REASON])
                at_most = max(1, self._taken // 2)
                continue
            if (last := routed.last) is not None:
                self._after = last.organization_id
            return FanOutStep(routed.outcome, routed.done, self._drained(db), routed.undecided, more=True)
        db.outbox_filled = False
        return FanOutStep(drained=self._drained(db))

    def _has_next(self, db: Connection) -> bool:
        """Tell whether the outbox holds something; begin with the first organization after the last one."""
        if fetch_one(db, SQL["list_unrouted"], (self._after, 1)) is None:
            self._after = ""
        return fetch_one(db, SQL["list_unrouted"], (self._after, 1)) is not None

    async def _write(self, db: Connection, at_most: int) -> Routed:
        """Write the next deliveries of at most so many events, or nothing where the database refuses a row."""
        with database_errors(), db:
            batch = PublishBatch(db, self._capacity(), self._cache, self._decisions)
            routed = await batch.route(self._entries(db, at_most), MAX_DELIVERIES)
            await batch.write()
            db.executemany(SQL["delete_routed"], [(event.organization_id, event.id) for event in routed.done])
            if routed.partly is not None:
                event, webhook_id = routed.partly
                db.execute(SQL["save_routing"], (event.organization_id, event.id, webhook_id))
        return routed

    def _drained(self, db: Connection) -> frozenset[str]:
        return frozenset([id_ for id_ in self.watched if fetch_one(db, SQL["has_unrouted"], (id_,)) is None])

    def _entries(self, db: Connection, at_most: int) -> Iterator[tuple[Event, str]]:
        """Yield the next events, and through which webhook their deliveries are made."""
        self._taken = 0
        for row in db.execute(SQL["list_unrouted"], (self._after, at_most)):
            self._taken += 1
            yield rows.EVENTS.read(row), row[-1]

    def _refuse(self, db: Connection, event: Event, reason: str) -> None:
        """Mark an event as given up, and say so."""
        db.execute(SQL["refuse_routing"], (event.id, self._clock.now(), reason))
        _log.error("outbox_event_refused", event_id=event.id, organization_id=event.organization_id, detail=reason)
