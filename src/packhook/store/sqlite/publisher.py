"""Publish without keeping the only writer from others: a large call is written in slices.

::

    small ───────────────────────────────────▶ one transaction: events and deliveries ─▶ 202
    large ─▶ filters, in slices on the loop ─▶ one transaction: events and outbox entries ─▶ 202
                                               one transaction for each slice of deliveries ◀─ outbox

The outbox entry is the promise: a process that dies after the 202 makes the deliveries at its next start. Until they
are made, the next calls of the same organization wait: they do not overtake it, and it cannot store faster than its
deliveries are made. Other organizations write between the slices.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from operator import attrgetter
from typing import Final

from packhook.core.clock import Clock
from packhook.core.errors import InvalidInput, Unavailable
from packhook.core.fairness import MAX_TRANSACTION_WEIGHT
from packhook.core.model import Event, PublishRequest, Receipt
from packhook.store.dispatcher import Capacity
from packhook.store.fair_gate import FairGate
from packhook.store.fan_out import (
    UNKNOWN_WEIGHT,
    PublishOutcome,
    Slices,
    SubscriberCache,
    event_weight,
    weigh,
)
from packhook.store.matching import match, match_one
from packhook.store.sqlite import outbox, publish
from packhook.store.sqlite.connection import Connection
from packhook.store.sqlite.decisions import Decisions
from packhook.store.sqlite.writer import WriteOp, Writer, itself

FAN_OUT: Final = ":fan-out"
"""In whose name the fan-out writes, no organization's id: its transactions are its own, and take turns with others'."""

DECIDING_ROWS: Final = 100
"""How many filters are evaluated before everything else on the event loop runs."""

MAX_DECISIONS: Final = 3
"""How often a call is decided before its transaction, where webhooks keep changing; then it is decided in there."""


class SqlitePublisher:
    """Publish, and make the deliveries of what the outbox holds. ``on_commit`` gets what is made once it is durable."""

    def __init__(
        self,
        writer: Callable[[], Writer],
        capacity: Callable[[], Capacity],
        clock: Clock,
        on_commit: Callable[[Sequence[PublishOutcome]], None],
    ) -> None:
        self._writer = writer
        self._on_commit = on_commit
        self._cache = SubscriberCache()
        self._decisions = Decisions()
        self._deciding = FairGate(1)
        self._busy: dict[str, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[tuple[Receipt, ...]]] = set()
        self._is_closing = False
        self._turns = outbox.FanOutTurns(capacity, self._cache, self._decisions, clock)
        self._fan_out: WriteOp[None, outbox.FanOutStep, outbox.FanOutStep] = WriteOp(
            self._turns.fan_out, itself, self._fanned_out, lambda _: outbox.MAX_DELIVERIES, lambda _: FAN_OUT
        )
        run = partial(publish.publish, capacity=capacity, cache=self._cache, decisions=self._decisions)
        decided, undecided = partial(run, may_defer=False), partial(run, may_defer=True)
        of = attrgetter("organization_id")
        self._small: WriteOp[PublishRequest, PublishOutcome, tuple[Receipt, ...]] = WriteOp(
            decided, attrgetter("receipts"), self._published, self._weigh, of
        )
        self._large: WriteOp[PublishRequest, PublishOutcome, PublishOutcome] = WriteOp(
            undecided, itself, self._published, self._weigh_large, of
        )
        self._decided_inside: WriteOp[PublishRequest, PublishOutcome, PublishOutcome] = WriteOp(
            decided, itself, self._published, self._weigh, of
        )

    def open(self, db: Connection) -> None:
        """Look into the outbox: what a dead process has left comes before what its organizations publish now."""
        self._is_closing = False
        waiting = outbox.waiting_organizations(db)
        db.outbox_filled = bool(waiting)
        self._await_outbox(waiting)

    async def close(self) -> None:
        """Refuse new calls, and return when those that came before are written: they wait for the outbox no more."""
        self._is_closing = True
        self._release(list(self._turns.watched))
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def publish(self, request: PublishRequest) -> "asyncio.Future[tuple[Receipt, ...]]":
        """See Store.publish."""
        writer = self._writer()
        if self._is_closing:
            raise Unavailable("the store is closing")
        if request.organization_id not in self._busy and (weight := self._small_weight(request)):
            return writer.submit(self._small, request, weight)
        writer.require_open()
        task = asyncio.get_running_loop().create_task(self._publish_in_turn(request))
        self._tasks.add(task)
        task.add_done_callback(self._forget_task)
        return asyncio.shield(task)

    async def fan_out(self, db: Connection) -> bool:
        """Make the next deliveries of what the outbox holds; return whether there may be more."""
        if not db.outbox_filled:
            return False
        try:
            step = await self._writer().submit(self._fan_out, None)
        except Exception:
            self._release(list(self._busy))  # they learn by themselves whether the database fails
            raise
        if step.undecided is not None:
            await self._decide_stored(step.undecided)
        return step.more

    async def _publish_in_turn(self, request: PublishRequest) -> tuple[Receipt, ...]:
        """Publish once the deliveries of the organization's calls before are made."""
        organization_id = request.organization_id
        while (busy := self._busy.get(organization_id)) is not None:
            await busy.wait()
        if weight := self._small_weight(request):
            return await self._writer().submit(self._small, request, weight)
        self._busy[organization_id] = asyncio.Event()
        is_routed = False
        try:
            published = await self._publish_large(request)
            is_routed = published.is_routed
            return published.receipts
        finally:
            if not is_routed or self._is_closing:
                self._decisions.forget(request.events)
                self._release((organization_id,))

    async def _publish_large(self, request: PublishRequest) -> PublishOutcome:
        """Store a call; its filters are evaluated before, and again where webhooks have changed meanwhile."""
        for _ in range(MAX_DECISIONS):
            published = await self._writer().submit(self._large, request)
            if published is not publish.UNDECIDED:
                return published
            await self._decide(request)
        return await self._writer().submit(self._decided_inside, request)

    async def _decide(self, request: PublishRequest) -> None:
        """Evaluate the filters for a call. Raises InvalidInput where that is too much work, or too many match."""
        subscribers = self._cache.get(request.organization_id)
        if subscribers is None:
            return
        async with self._deciding.admit(request.organization_id):
            matched = await match(request.events, subscribers, Slices(DECIDING_ROWS))
        if isinstance(matched, InvalidInput):
            raise matched
        self._decisions.add(subscribers.version, request.events, matched)

    async def _decide_stored(self, event: Event) -> None:
        """Evaluate the filters for an event that is stored already."""
        subscribers = self._cache.get(event.organization_id)
        if subscribers is not None:
            matched = await match_one(event, subscribers, Slices(DECIDING_ROWS))
            self._decisions.add(subscribers.version, (event,), matched)

    def _published(self, published: Sequence[PublishOutcome]) -> None:
        if routed := [outcome.organization_id for outcome in published if outcome.is_routed]:
            self._await_outbox(routed)
        self._on_commit(published)

    def _fanned_out(self, steps: Sequence[outbox.FanOutStep]) -> None:
        for step in steps:
            self._decisions.forget(step.done)
            self._release(step.drained)
        self._on_commit([step.outcome for step in steps])

    def _await_outbox(self, organization_ids: Iterable[str]) -> None:
        """Let the next calls of these organizations wait for the deliveries of the last."""
        for organization_id in organization_ids:
            self._busy.setdefault(organization_id, asyncio.Event())
            self._turns.watched.add(organization_id)

    def _release(self, organization_ids: Iterable[str]) -> None:
        for organization_id in organization_ids:
            self._turns.watched.discard(organization_id)
            if (busy := self._busy.pop(organization_id, None)) is not None:
                busy.set()

    def _small_weight(self, request: PublishRequest) -> int:
        """Return about how many rows a call writes; 0 where they are too many for one transaction, or not known."""
        subscribers = self._cache.get(request.organization_id)
        weight = 0 if subscribers is None else weigh(request, subscribers)
        return weight if weight <= MAX_TRANSACTION_WEIGHT else 0

    def _weigh(self, request: PublishRequest) -> int:
        return weigh(request, self._cache.get(request.organization_id))

    def _weigh_large(self, request: PublishRequest) -> int:
        """Return about how many rows a large call writes: events and outbox entries, or none before it is decided."""
        subscribers = self._cache.get(request.organization_id)
        rows = len(request.events) + sum(map(event_weight, request.events))
        if subscribers is None:
            return max(rows, UNKNOWN_WEIGHT)
        is_decided = self._decisions.find(request.events[0], subscribers.version) is not None
        return rows if is_decided or not subscribers.has_filters else 1

    def _forget_task(self, task: "asyncio.Task[tuple[Receipt, ...]]") -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # its caller may have been cancelled
