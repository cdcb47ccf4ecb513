"""Who sends what when: takes what is handed over or claimed, keeps the lanes fair, and stops in two levels.

::

    accept (handed over) ─────────┐
                                  ├─▶ lanes ─▶ turns ─▶ launch (an attempt begins) ─▶ finished ─▶ turns again
    claim.py (due) ─▶ accept ─────┘             │
                                                └─▶ load (a webhook that is new here, or was changed)

Memory is bounded: what there is no room for stays in the database, and its webhook is closed to the handover until a
claim has fetched it. A lane may hold at most a share of what is free (the dynamic threshold of shared buffers), so a
hanging endpoint cannot take the places of the others.
"""

import asyncio
import itertools
import secrets
from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence
from typing import Final

import structlog

from packhook.core.clock import MINUTE, SECOND, Clock
from packhook.core.model import LeasedDelivery, Verdict
from packhook.delivery.claim_loop import Claimer
from packhook.delivery.fair_queue import Turns
from packhook.delivery.holds import Holds
from packhook.delivery.http.client import InFlight
from packhook.delivery.lane import Lane
from packhook.delivery.target import PreparedWebhook
from packhook.settings import Settings
from packhook.store.base import Store
from packhook.store.dispatcher import Capacity

_log: Final = structlog.get_logger("packhook.dispatch")

CLAIM_AT_ONCE: Final = 500
BYTES_IN_MEMORY: Final = 256 * 1024 * 1024
NEARLY_FULL: Final = BYTES_IN_MEMORY * 7 // 8
IDLE_LANE: Final = 10 * MINUTE
RELEASE_WHEN_HELD_FOR: Final = 5 * SECOND
LEASE_MARGIN: Final = 2 * SECOND

Attempting = Callable[[LeasedDelivery, Lane, PreparedWebhook], InFlight]
Loading = Callable[[Lane], Coroutine[None, None, bool]]


class Scheduler:
    """The node's lanes. Implements the store's Handover. Bound to the loop that calls :meth:`run`.

    ``attempting`` begins one attempt, which calls :meth:`finished` at its end; ``loading`` sets a lane's target, and
    answers whether it may be sent to at all.
    """

    def __init__(
        self, store: Store, settings: Settings, clock: Clock, attempting: Attempting, loading: Loading
    ) -> None:
        self._settings = settings
        self._max_in_flight = settings.max_in_flight
        self._queue_limit = settings.max_queued_deliveries
        self._clock = clock
        self._attempting = attempting
        self._loading = loading
        self._claimer = Claimer(store, clock, self)
        self._lanes: dict[str, Lane] = {}
        self._turns = Turns()
        self._leases = itertools.count(secrets.randbits(61) + 1)
        self._under_way: dict[int, tuple[LeasedDelivery, Lane, InFlight]] = {}
        self._queued = 0
        self._queued_bytes = 0
        self._full: set[str] = set()
        self._holds = Holds(self._look)
        self._squeezed: dict[str, Lane] = {}
        self._squeezed_at = settings.max_in_flight
        self._starved = False
        self._crowded = False
        self._forgot_at = clock.now()
        self._stopping = False
        self._drained = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    # --- the store's handover

    def capacity(self) -> Capacity:
        """What may be leased to this node now, for what is published."""
        return self._capacity(self._room(), self._full | self._holds.held | self._claimer.backlog)

    def enqueue(self, leased: Sequence[LeasedDelivery]) -> None:
        """Queue deliveries whose lease is committed; what may be sent of them is, when the loop comes round."""
        if self._stopping:
            self._claimer.release(leased)
            return
        lanes: dict[str, Lane] = {}
        for delivery in leased:
            lane = lanes[delivery.webhook_id] = self._lane(delivery.webhook_id, delivery.organization_id)
            lane.put(delivery)
            self._queued += 1
            self._queued_bytes += len(delivery.data)
        for lane in lanes.values():
            if lane.queued >= self._room_of(lane):
                self._full.add(lane.webhook_id)
            self._is_loaded(lane)  # begin now, not when its turn has come
            self._list(lane)
        asyncio.get_running_loop().call_soon(self._launch_what_may_go)  # while SQLite's next COMMIT is under way

    def notify_due(self, webhook_ids: Collection[str], due_at: int) -> None:
        """Claim at ``due_at``, at once if that has come."""
        if due_at <= self._clock.now():
            self._claimer.backlog.update(webhook_id for webhook_id in webhook_ids if webhook_id in self._lanes)
        self._claimer.at(due_at)

    def invalidate(self, webhook_id: str) -> None:
        """Load the webhook anew before its next attempt, and forget what was learned of it as it was."""
        lane = self._lanes.get(webhook_id)
        if lane is not None:
            lane.begin_anew()
            self._let_out(lane)
            self._list(lane)
            self._launch_what_may_go()

    # --- its life

    async def run(self) -> None:
        """Claim what is due, until told to stop."""
        await self._claimer.run()

    async def stop(self, grace_seconds: float) -> None:
        """Claim no more, let what is under way finish within the grace, cut off the rest, give back what was unsent."""
        self._stopping = True
        self._claimer.stop()
        for lane in self._lanes.values():
            self._let_go(lane)
        draining = asyncio.create_task(self._drain())
        try:
            await asyncio.wait([draining], timeout=grace_seconds)
        finally:
            draining.cancel()
        if self._under_way or self._tasks:
            await self._cut_all_off()
        self._holds.stop()
        await self._claimer.give_back()

    async def _drain(self) -> None:
        while self._under_way or self._tasks:
            self._drained.clear()
            await self._drained.wait()

    async def _cut_all_off(self) -> None:
        """End what is under way; it goes back, and costs its receiver no attempt."""
        _log.warning("attempts_aborted", count=len(self._under_way))
        for delivery, lane, sending in list(self._under_way.values()):
            sending.cancel()
            self.cut_off(delivery)
            self.finished(lane, delivery)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def moving(self) -> bool:
        """Whether what is due is being claimed."""
        return self._claimer.is_moving()

    def release(self, delivery: LeasedDelivery) -> None:
        """Give a delivery back to the store, unsent: any node may take it, no attempt is counted."""
        self._claimer.release((delivery,))

    def cut_off(self, delivery: LeasedDelivery) -> None:
        """Give one back that may have been sent, but what became of it nobody knows."""
        self._claimer.cut_off(delivery)

    def crowd(self, is_crowded: bool) -> None:
        """Launch nothing while results that cannot be recorded fill the memory."""
        self._crowded = is_crowded
        if not is_crowded:
            self._launch_what_may_go()

    def learn(self, lane: Lane, verdict: Verdict, started_at: int) -> None:
        """Let an attempt's verdict steer its lane."""
        now = self._clock.now()
        lane.learn(verdict, started_at, now)
        if verdict.disable_reason:
            lane.target = None
            self._let_go(lane)
        self._hold_if_held(lane, now)

    def stumble(self, lane: Lane) -> None:
        """A fault of ours kept this lane from sending: not again at once, and longer from time to time."""
        now = self._clock.now()
        lane.stumble(now)
        self._hold_if_held(lane, now)

    # --- claiming, by claim.py

    def begin(self) -> tuple[Capacity, int] | None:
        """What may be claimed now, and how much of it for one webhook; None where there is no room."""
        now = self._clock.now()
        for webhook_id in list(self._holds.held):
            self._lanes[webhook_id].mind_the_clock(now)
            self._let_out(self._lanes[webhook_id])
        for webhook_id in list(self._full):
            self._drop_stale(self._lanes[webhook_id], now)
        self._forget_idle_lanes()
        capacity = self._capacity(min(CLAIM_AT_ONCE, self._room()), self._full | self._holds.held)
        self._starved = capacity.slots <= 0 or capacity.max_bytes <= 0
        return None if self._starved else (capacity, self._lane_room())

    def _room(self) -> int:
        return 0 if self._stopping else max(0, self._queue_limit - self._queued)

    def _capacity(self, room: int, closed: Iterable[str]) -> Capacity:
        return Capacity(
            lease=next(self._leases),
            lease_until=self._clock.now() + self._settings.lease_duration,
            slots=room,
            max_bytes=BYTES_IN_MEMORY - self._queued_bytes,
            excluded=frozenset(closed),
            per_lane=self._lane_room(),
        )

    # --- sending

    def _launch_what_may_go(self) -> None:
        if not self._turns or self._crowded:
            return
        now = self._clock.now()
        while self._turns and len(self._under_way) < self._max_in_flight:
            lane = self._turns.next()
            if self._may_go(lane, now) and lane.target is not None:
                self._launch(lane, lane.target, now)
                self._list(lane)

    def _may_go(self, lane: Lane, now: int) -> bool:
        self._drop_stale(lane, now)
        if not lane.queued or not self._is_loaded(lane):
            return False
        share = self._share()
        if lane.in_flight >= (share if lane.has_failed else max(1, share)):
            self._squeezed[lane.webhook_id] = lane
            self._squeezed_at = min(self._squeezed_at, share)
            return False
        ready_at = lane.ready_at(now)
        if ready_at is not None and ready_at > now:
            self._holds.look_again(lane, ready_at - now)
        return ready_at is not None and ready_at <= now

    def _share(self) -> int:
        """How many of the places one lane may have; the last eighth is for lanes that do not fail."""
        return (self._max_in_flight - len(self._under_way)) // 8

    def _drop_stale(self, lane: Lane, now: int) -> None:
        """Give back what lay here so long that its lease no longer outlives an attempt."""
        longest = self._settings.attempt_timeout if lane.target is None else lane.target.timeout
        while lane.queued and lane.next().lease_until - now < longest + LEASE_MARGIN:
            delivery = lane.drop()
            self._took(lane, delivery)
            self.release(delivery)

    def _is_loaded(self, lane: Lane) -> bool:
        """Whether the lane knows its webhook as it was when its next delivery was made; if not, it is loaded."""
        if lane.target is not None and lane.target.version >= lane.next().webhook_version:
            return True
        if not lane.is_loading:
            lane.is_loading = True
            self._start(self._load(lane))
        return False

    async def _load(self, lane: Lane) -> None:
        may_be_sent_to = False
        try:
            may_be_sent_to = await self._loading(lane)
        finally:
            lane.is_loading = False
            if not may_be_sent_to:
                self._let_go(lane)
            self._hold_if_held(lane, self._clock.now())
            self._list(lane)

    def _launch(self, lane: Lane, target: PreparedWebhook, now: int) -> None:
        delivery = lane.take(now)
        self._took(lane, delivery)
        try:
            self._under_way[id(delivery)] = delivery, lane, self._attempting(delivery, lane, target)
        except Exception:  # noqa: BLE001 one attempt's fault is not the node's
            _log.exception("attempt_crashed", delivery_id=delivery.id)
            self.release(delivery)
            lane.finish(now)
            self.stumble(lane)

    def finished(self, lane: Lane, delivery: LeasedDelivery) -> None:
        """The attempt of this delivery has ended, whatever came of it."""
        del self._under_way[id(delivery)]
        lane.finish(self._clock.now())
        self._list(lane)
        self._let_squeezed_try()
        self._see_whether_drained()
        self._launch_what_may_go()

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        self._see_whether_drained()
        self._launch_what_may_go()

    def _see_whether_drained(self) -> None:
        if self._stopping and not self._under_way and not self._tasks:
            self._drained.set()

    def _let_squeezed_try(self) -> None:
        """One place is free, so one lane may have it; where the share of each has grown, all look again."""
        if not self._squeezed:
            return
        if self._share() > self._squeezed_at:
            for lane in self._squeezed.values():
                self._list(lane)
            self._squeezed.clear()
        elif self._squeezed:
            self._list(self._squeezed.pop(next(iter(self._squeezed))))
        if not self._squeezed:
            self._squeezed_at = self._max_in_flight

    def _took(self, lane: Lane, delivery: LeasedDelivery) -> None:
        self._queued -= 1
        self._queued_bytes -= len(delivery.data)
        if lane.webhook_id in self._full and lane.queued <= self._room_of(lane) // 2:
            self._full.discard(lane.webhook_id)
            self._claimer.now()
        if self._starved and self._queued <= self._queue_limit * 7 // 8 and self._queued_bytes <= NEARLY_FULL:
            self._starved = False
            self._claimer.now()

    # --- lanes

    def _lane(self, webhook_id: str, organization_id: str) -> Lane:
        lane = self._lanes.get(webhook_id)
        if lane is None:
            limit = min(self._settings.max_in_flight_per_webhook, self._max_in_flight)
            lane = self._lanes[webhook_id] = Lane(webhook_id, organization_id, limit)
        return lane

    def _lane_room(self) -> int:
        """How much one lane may hold: a share of what is free."""
        return max(1, (self._queue_limit - self._queued) // 4)

    def _room_of(self, lane: Lane) -> int:
        """The same for this lane, which may hold no more than it can send while half of a lease lasts."""
        rate = lane.rate()
        free = self._lane_room()
        return min(free, max(1, int(rate * self._settings.lease_duration / SECOND / 2))) if rate else free

    def _list(self, lane: Lane) -> None:
        if lane.queued:
            self._turns.add(lane)

    def _hold_if_held(self, lane: Lane, now: int) -> None:
        """A lane that is held is closed to the handover; what waits in it goes back if it would wait for long."""
        if not lane.is_held(now):
            return
        self._holds.hold(lane, now)
        if lane.held_until - now > RELEASE_WHEN_HELD_FOR:
            self._let_go(lane)

    def _look(self, lane: Lane) -> None:
        """A hold or a rate limit may be over."""
        if lane.is_held(self._clock.now()):
            self._holds.look_again(lane, lane.held_until - self._clock.now())
            return
        self._let_out(lane)
        self._list(lane)
        self._launch_what_may_go()

    def _let_out(self, lane: Lane) -> None:
        """Open it to the handover again, and come for what waits in the database, if its hold is over."""
        if self._holds.let_out(lane, self._clock.now()):
            self._list(lane)
            self._claimer.now()

    def _let_go(self, lane: Lane) -> None:
        for delivery in list(lane.empty()):
            self._took(lane, delivery)
            self.release(delivery)

    def _forget_idle_lanes(self) -> None:
        """Now and then drop the lanes that have had nothing to do for a while; what they learned goes with them."""
        now = self._clock.now()
        if now - self._forgot_at < IDLE_LANE // 10:
            return
        self._forgot_at = now
        for lane in list(self._lanes.values()):
            busy = lane.queued or lane.in_flight or lane.is_held(now) or lane.is_probing or lane.is_loading
            if not busy and now - lane.idle_since > IDLE_LANE and lane.webhook_id not in self._holds.held | self._full:
                del self._lanes[lane.webhook_id]
                self._holds.forget(lane)
