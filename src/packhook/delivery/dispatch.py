"""Who sends what when: claims what is due, takes what is handed over, keeps the lanes fair, and stops in two levels.

::

    accept (handed over) ─┐
                          ├─▶ lanes ─▶ turns ─▶ launch (one task an attempt) ─▶ finished ─▶ turns again
    claim loop (due) ─────┘

Memory is bounded: what there is no room for stays in the database, and its webhook is closed to the handover until a
claim has fetched it. A lane may hold at most a share of what is free (the dynamic threshold of shared buffers), so a
hanging endpoint cannot take the places of the others.
"""

import asyncio
import itertools
import secrets
import time
from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence
from typing import Final

import structlog

from packhook.core.clock import MINUTE, SECOND, Clock
from packhook.core.errors import Unavailable
from packhook.core.model import LeasedDelivery, Verdict
from packhook.delivery.lane import Lane
from packhook.delivery.turns import Turns
from packhook.settings import Settings
from packhook.store.base import Claim, Offer, Store

_log: Final = structlog.get_logger("packhook.dispatch")

POLL: Final = 5 * SECOND
CLAIM_AT_ONCE: Final = 500
LEAST_QUEUE: Final = 64
BYTES_IN_MEMORY: Final = 256 * 1024 * 1024
HALF_FULL: Final = BYTES_IN_MEMORY // 2
IDLE_LANE: Final = 10 * MINUTE
RELEASE_WHEN_HELD_FOR: Final = 5 * SECOND
LEASE_MARGIN: Final = 2 * SECOND
STUCK_AFTER_SECONDS: Final = 60.0

Attempting = Callable[[LeasedDelivery, Lane], Coroutine[None, None, None]]


class Dispatcher:
    """The node's lanes. Implements the store's Handover. Bound to the loop that calls :meth:`run`."""

    def __init__(self, store: Store, settings: Settings, clock: Clock, attempting: Attempting) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._attempting = attempting
        self._lanes: dict[str, Lane] = {}
        self._turns = Turns()
        self._leases = itertools.count(secrets.randbits(61) + 1)
        self._in_flight = 0
        self._queued = 0
        self._queued_bytes = 0
        self._full: set[str] = set()
        self._held: set[str] = set()
        self._backlog: set[str] = set()
        self._squeezed: set[str] = set()
        self._due = asyncio.Event()
        self._due_timer: asyncio.TimerHandle | None = None
        self._due_at: int | None = None
        self._given_back: list[LeasedDelivery] = []
        self._starved = False
        self._stopping = False
        self._drained = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._beat = time.monotonic()

    # --- the store's handover

    def offer(self) -> Offer:
        """What may be leased to this node now, for what is published."""
        return self._offer(self._full | self._held | self._backlog)

    def accept(self, leased: Sequence[LeasedDelivery]) -> None:
        """Queue deliveries whose lease is committed."""
        if self._stopping:
            self._given_back += leased
            return
        for delivery in leased:
            lane = self._lane(delivery.webhook_id, delivery.organization_id)
            lane.put(delivery)
            self._queued += 1
            self._queued_bytes += len(delivery.data)
            if lane.queued >= self._lane_room():
                self._full.add(lane.webhook_id)
            self._list(lane)
        self._launch_what_may_go()

    def wake(self, webhook_ids: Collection[str], due_at: int) -> None:
        """Claim at ``due_at``, at once if that has come."""
        if due_at <= self._clock.now():
            self._backlog.update(webhook_id for webhook_id in webhook_ids if webhook_id in self._lanes)
            self._due.set()
        else:
            self._claim_at(due_at)

    def changed(self, webhook_id: str) -> None:
        """Load the webhook anew before its next attempt."""
        lane = self._lanes.get(webhook_id)
        if lane is not None:
            lane.target = None

    # --- its life

    async def run(self) -> None:
        """Claim what is due, until told to stop."""
        while not self._stopping:
            self._beat = time.monotonic()
            await self._give_back()
            await self._claim()
            await self._wait_for_work()
        await self._give_back()

    async def stop(self, grace_seconds: float) -> None:
        """Claim no more, let what is under way finish within the grace, cut off the rest, give back what was unsent."""
        self._stopping = True
        self._due.set()
        for lane in self._lanes.values():
            self._let_go(lane)
        try:
            async with asyncio.timeout(grace_seconds):
                while self._tasks:
                    self._drained.clear()
                    await self._drained.wait()
        except TimeoutError:
            _log.warning("attempts_cut_off", count=len(self._tasks))
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._give_back()

    def moving(self) -> bool:
        """Whether the loop that claims has come round lately."""
        return not self._stopping and time.monotonic() - self._beat < STUCK_AFTER_SECONDS

    def release(self, delivery: LeasedDelivery) -> None:
        """Give a delivery back to the store, unsent: any node may take it, no attempt is counted."""
        self._given_back.append(delivery)
        self._backlog.add(delivery.webhook_id)
        self._due.set()

    def learn(self, lane: Lane, verdict: Verdict, started_at: int) -> None:
        """Let an attempt's verdict steer its lane."""
        now = self._clock.now()
        lane.learn(verdict, started_at, now)
        if verdict.disable_reason:
            lane.target = None
            self._let_go(lane)
        if lane.is_held(now):
            self._held.add(lane.webhook_id)
            self._look_again(lane, lane.held_until - now)
            if lane.held_until - now > RELEASE_WHEN_HELD_FOR:
                self._let_go(lane)

    # --- claiming

    async def _claim(self) -> None:
        closed = self._full | self._held
        offer = self._offer(closed)
        self._due.clear()
        self._due_at = None
        self._starved = offer.room <= 0 or offer.room_bytes <= 0
        if self._starved:
            return
        asked = Claim(now=self._clock.now(), offer=offer, per_lane=max(LEAST_QUEUE, self._lane_room() // 2))
        try:
            claimed = await self._store.claim(asked)
        except Unavailable as error:
            _log.error("claim_failed", detail=error.detail)
            self._claim_at(self._clock.now() + SECOND)
            return
        self._backlog = {webhook_id for webhook_id in self._backlog if webhook_id in closed} | claimed.backlog
        self.accept(claimed.deliveries)
        if claimed.next_due_at is not None:
            self._claim_at(claimed.next_due_at)

    async def _wait_for_work(self) -> None:
        """Until something is due and there is room for it; a slow poll is the truth, whatever hints were lost."""
        try:
            async with asyncio.timeout(POLL / SECOND):
                await self._due.wait()
        except TimeoutError:
            return

    def _claim_at(self, due_at: int) -> None:
        now = self._clock.now()
        if due_at <= now:
            self._due.set()
        elif self._due_at is None or due_at < self._due_at:
            if self._due_timer is not None:
                self._due_timer.cancel()
            self._due_at = due_at
            self._due_timer = asyncio.get_running_loop().call_later((due_at - now) / SECOND, self._due.set)

    def _offer(self, closed: Iterable[str]) -> Offer:
        room = 0 if self._stopping else min(CLAIM_AT_ONCE, self._settings.queue_limit - self._queued)
        return Offer(
            lease=next(self._leases),
            lease_until=self._clock.now() + self._settings.lease,
            room=max(0, room),
            room_bytes=BYTES_IN_MEMORY - self._queued_bytes,
            closed=frozenset(closed),
        )

    async def _give_back(self) -> None:
        if not self._given_back:
            return
        given_back, self._given_back = self._given_back, []
        try:
            await self._store.release(given_back, self._clock.now())
        except Unavailable as error:
            _log.error("release_failed", count=len(given_back), detail=f"their leases will run out: {error.detail}")

    # --- sending

    def _launch_what_may_go(self) -> None:
        while self._turns and self._in_flight < self._settings.max_in_flight:
            lane = self._turns.next()
            if self._may_go(lane):
                self._launch(lane)
                self._list(lane)

    def _may_go(self, lane: Lane) -> bool:
        if not lane.queued:
            return False
        if lane.in_flight >= max(1, (self._settings.max_in_flight - self._in_flight) // 8):
            self._squeezed.add(lane.webhook_id)
            return False
        now = self._clock.now()
        ready_at = lane.ready_at(now)
        if ready_at is not None and ready_at > now:
            self._look_again(lane, ready_at - now)
        return ready_at is not None and ready_at <= now

    def _launch(self, lane: Lane) -> None:
        now = self._clock.now()
        delivery = lane.take(now)
        self._took(lane, delivery)
        self._in_flight += 1
        longest = self._settings.attempt_timeout if lane.target is None else lane.target.timeout
        if delivery.lease_until - now < longest + LEASE_MARGIN:
            self.release(delivery)
            self._finished(lane)
            return
        task = asyncio.get_running_loop().create_task(self._attempting(delivery, lane))
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(done, lane))

    def _ended(self, task: asyncio.Task[None], lane: Lane) -> None:
        self._tasks.discard(task)
        self._finished(lane)
        if not self._tasks:
            self._drained.set()
        self._launch_what_may_go()

    def _finished(self, lane: Lane) -> None:
        self._in_flight -= 1
        lane.finish(self._clock.now())
        self._list(lane)
        for webhook_id in self._squeezed:
            squeezed = self._lanes.get(webhook_id)
            if squeezed is not None:
                self._list(squeezed)
        self._squeezed.clear()

    def _took(self, lane: Lane, delivery: LeasedDelivery) -> None:
        self._queued -= 1
        self._queued_bytes -= len(delivery.data)
        if lane.webhook_id in self._full and lane.queued <= self._lane_room() // 2:
            self._full.discard(lane.webhook_id)
            self._due.set()
        if self._starved and self._queued <= self._settings.queue_limit // 2 and self._queued_bytes <= HALF_FULL:
            self._starved = False
            self._due.set()

    # --- lanes

    def _lane(self, webhook_id: str, organization_id: str) -> Lane:
        lane = self._lanes.get(webhook_id)
        if lane is None:
            limit = min(self._settings.webhook_in_flight, self._settings.max_in_flight)
            lane = self._lanes[webhook_id] = Lane(webhook_id, organization_id, limit)
        return lane

    def _lane_room(self) -> int:
        return max(LEAST_QUEUE, (self._settings.queue_limit - self._queued) // 4)

    def _list(self, lane: Lane) -> None:
        if lane.queued:
            self._turns.add(lane)

    def _look_again(self, lane: Lane, in_ms: int) -> None:
        asyncio.get_running_loop().call_later(max(1, in_ms) / SECOND, self._look, lane)

    def _look(self, lane: Lane) -> None:
        """A hold or a rate limit may be over."""
        if not lane.is_held(self._clock.now()) and lane.webhook_id in self._held:
            self._held.discard(lane.webhook_id)
            self._due.set()
        self._list(lane)
        self._launch_what_may_go()

    def _let_go(self, lane: Lane) -> None:
        for delivery in list(lane.empty()):
            self._took(lane, delivery)
            self.release(delivery)

    def forget_idle_lanes(self) -> None:
        """Drop the lanes that have had nothing to do for a while; what they learned goes with them."""
        now = self._clock.now()
        for lane in list(self._lanes.values()):
            busy = lane.queued or lane.in_flight or lane.is_held(now) or lane.is_probing
            if not busy and now - lane.idle_since > IDLE_LANE:
                del self._lanes[lane.webhook_id]
