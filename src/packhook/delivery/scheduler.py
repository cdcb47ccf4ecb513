"""Decide which delivery is sent when: queue what the store hands over, launch attempts in turn, act on their results.

::

    store ─ enqueue ─┐                                           ┌─▶ recorder.py ─▶ store (a retry: notify_due)
                     ├─▶ lane.py ─▶ fair_queue.py ─▶ attempt.py ─┤
    claim_loop.py ───┘      │           (a slot of capacity.py)  └─▶ lane.py: what the endpoint bears
                            └─▶ webhook_loader.py (new here, or changed)

Memory is bounded: what does not fit stays in the database, and its webhook is excluded from ``enqueue`` until a claim
has fetched it. Stopping has two levels: attempts in flight may finish within the grace, then they are aborted. Either
way every delivery is recorded or given back.
"""

import asyncio
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from packhook.core.clock import SECOND, Clock
from packhook.core.health import LaneReport
from packhook.core.model import AttemptResult, LeasedDelivery, Outcome, Urgency
from packhook.delivery.attempt import AttemptInFlight, PreparedWebhook
from packhook.delivery.capacity import QueueCapacity, SlotPool
from packhook.delivery.claim_loop import ClaimLoop
from packhook.delivery.fair_queue import FairQueue
from packhook.delivery.http.client import Transport
from packhook.delivery.lane import Lane, LaneTable
from packhook.delivery.recorder import Recorder
from packhook.delivery.replay_pace import ReplayPace
from packhook.delivery.webhook_loader import WebhookLoader
from packhook.settings import Settings
from packhook.store.base import Store
from packhook.store.dispatcher import Capacity
from packhook.telemetry import metrics
from packhook.telemetry.counts import DeliveryCounts
from packhook.telemetry.live_tail import LiveTail
from packhook.telemetry.metrics import Sample

if TYPE_CHECKING:
    from packhook.telemetry.tracing import Tracing

_log: Final = structlog.get_logger("packhook.scheduler")

CLAIM_BATCH: Final = 500
RELEASE_IF_HELD_FOR: Final = 5 * SECOND
LEASE_MARGIN: Final = 2 * SECOND
LAUNCHES_PER_TURN: Final = 8
"""How many attempts begin in a turn of the event loop, so that everything else has its turn soon."""


class Scheduler:
    """Send the deliveries of one node. Implements the store's Dispatcher. Made inside the running event loop."""

    def __init__(self, store: Store, client: Transport, settings: Settings, clock: Clock) -> None:
        self._store = store
        self._client = client
        self._settings = settings
        self._clock = clock
        self._lanes = LaneTable(min(settings.max_in_flight_per_webhook, settings.max_in_flight), self._recheck)
        self._fair_queue: FairQueue[Lane] = FairQueue()
        self._queue = QueueCapacity(settings, clock)
        self._slots = SlotPool(settings.max_in_flight)
        self._replay_pace = ReplayPace(settings.replay_rate, self._resume)
        self._claim_loop = ClaimLoop(store, clock, self)
        self._loader = WebhookLoader(store, settings, clock)
        self._recorder = Recorder(store, self._on_recorded, self._pause)
        self.live_tail = LiveTail()
        self.tracing: Tracing | None = None
        self._attempts: dict[AttemptInFlight, Lane] = {}
        self._attempts_ended = asyncio.Event()
        self._loads: set[asyncio.Task[None]] = set()
        self._paused_organizations: set[str] = set()
        self._launched = 0
        self.counts = DeliveryCounts()
        self._stop_requested = asyncio.Event()

    # --- start and stop

    async def run(self) -> None:
        """Send until ``stop``. Return when everything in flight is recorded or given back."""
        self._store.attach(self)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._claim_loop.run(), name="packhook-claim")
            group.create_task(self._recorder.run(), name="packhook-record")
            await self._stop_requested.wait()
            await self._shut_down()
            self._recorder.finish()

    def stop(self) -> None:
        """Begin to stop: claim no more, let attempts finish within the grace, then abort them."""
        self._stop_requested.set()

    def is_healthy(self) -> bool:
        """Return True if due deliveries are being claimed."""
        return self._claim_loop.is_healthy()

    def lane_report(self, webhook_id: str) -> LaneReport | None:
        """Return what this node has learned about a webhook's endpoint, None if it sent nothing to it lately."""
        lane = self._lanes.get(webhook_id)
        return None if lane is None else lane.report()

    def samples(self) -> Iterator[Sample]:
        """Yield what this node sends now, and what it has counted."""
        yield from metrics.samples_of_deliveries(self.counts)
        yield Sample(metrics.IN_FLIGHT, len(self._attempts))
        yield Sample(metrics.QUEUED, self._queue.queued)
        yield Sample(metrics.LANES, len(self._lanes))
        yield Sample(metrics.LANES_HELD, len(self._lanes.held))
        yield Sample(metrics.BREAKERS_OPEN, sum(lane.breaker.is_probing for lane in self._lanes))

    async def _shut_down(self) -> None:
        self._queue.close()
        self._claim_loop.stop()
        for lane in self._lanes:
            self._release_queued(lane)
        try:
            async with asyncio.timeout(self._settings.shutdown_grace / SECOND):
                await asyncio.gather(*self._loads, return_exceptions=True)
                await self._wait_for_attempts()
        except TimeoutError:
            pass
        if self._attempts:
            _log.warning("attempts_aborted", count=len(self._attempts))
        for attempt in list(self._attempts):
            attempt.cancel()
            self._end(attempt, None)
        self._lanes.close()
        self._replay_pace.close()
        await self._claim_loop.flush_released()

    async def _wait_for_attempts(self) -> None:
        while self._attempts:
            self._attempts_ended.clear()
            await self._attempts_ended.wait()

    # --- the store's Dispatcher

    def capacity(self) -> Capacity:
        """Return what may be leased to this node now, of what is being published."""
        return self._queue.offer(self._queue.full_lanes | self._lanes.held | self._claim_loop.backlog)

    def enqueue(self, leased: Sequence[LeasedDelivery]) -> None:
        """Queue deliveries whose lease is committed. Attempts begin in the loop's next iteration, not here."""
        if self._stop_requested.is_set():
            self._claim_loop.release(leased)
            return
        lanes: dict[str, Lane] = {}
        for delivery in leased:
            lane = lanes[delivery.webhook_id] = self._lanes.get_or_create(delivery.webhook_id, delivery.organization_id)
            lane.put(delivery)
            self._queue.add(delivery)
        for lane in lanes.values():
            self._queue.note_if_full(lane)
            self._is_loaded(lane)  # starts to load now, not when its turn has come
            self._schedule(lane)
        asyncio.get_running_loop().call_soon(self._launch_ready)

    def notify_due(self, webhook_ids: Collection[str], due_at: int) -> None:
        """Claim at ``due_at``, at once if that has passed."""
        if due_at <= self._clock.now():
            self._claim_loop.backlog.update(webhook_id for webhook_id in webhook_ids if webhook_id in self._lanes)
        self._claim_loop.wake_at(due_at)

    def invalidate(self, webhook_id: str) -> None:
        """Load the webhook again before its next attempt, and forget what was learned about it."""
        lane = self._lanes.get(webhook_id)
        if lane is not None:
            lane.reset()
            self._reopen(lane)
            self._schedule(lane)
            self._launch_ready()

    # --- the claim loop's target

    def claim_capacity(self) -> Capacity | None:
        """Return what may be claimed now, None if there is no room."""
        now = self._clock.now()
        for webhook_id in list(self._lanes.held):
            lane = self._lanes[webhook_id]
            lane.on_clock_jump(now)
            self._reopen(lane)
        for webhook_id in list(self._queue.full_lanes):
            self._release_stale(self._lanes[webhook_id], now)
        self._lanes.remove_idle(now, keep=self._queue.full_lanes)
        return self._queue.offer_to_claim(self._queue.full_lanes | self._lanes.held, at_most=CLAIM_BATCH)

    def is_excluded(self, webhook_id: str, capacity: Capacity) -> bool:
        """Return True if this claim leaves what the webhook has due in the database."""
        lane = self._lanes.get(webhook_id)
        return webhook_id in capacity.excluded or (
            lane is not None and lane.organization_id in capacity.excluded_organizations
        )

    # --- launch and finish

    def _launch_ready(self) -> None:
        """Begin attempts, lane by lane in turn, while there are slots; a few in this turn of the event loop."""
        if not self._fair_queue:
            return
        now = self._clock.now()
        while self._fair_queue and self._slots.has_free and self._launched < LAUNCHES_PER_TURN:
            lane = self._fair_queue.next()
            if self._is_ready(lane, now) and lane.webhook is not None:
                self._launch(lane, lane.webhook, now)
                self._schedule(lane)

    def _begin_turn(self) -> None:
        self._launched = 0
        self._launch_ready()

    def _is_ready(self, lane: Lane, now: int) -> bool:
        """Return True if the lane may send now. If not, see that it is scheduled again when it may."""
        self._release_stale(lane, now)
        if not lane.queued or lane.organization_id in self._paused_organizations:
            return False  # ``_pause`` schedules it again
        if not self._is_loaded(lane) or not self._slots.admits(lane):
            return False
        ready_at = lane.ready_at(now)
        if ready_at is not None and ready_at > now:
            self._lanes.recheck_in(lane, ready_at - now)
        if ready_at is None or ready_at > now:
            return False
        return not lane.has_only_replays or self._replay_pace.admits(lane)

    def _launch(self, lane: Lane, webhook: PreparedWebhook, now: int) -> None:
        if not self._launched:
            asyncio.get_running_loop().call_soon(self._begin_turn)
        self._launched += 1
        delivery = lane.take(now)
        if delivery.urgency is Urgency.REPLAY:
            self._replay_pace.spend()
        self._count_dequeued(lane, delivery)
        self._slots.acquire(lane)
        attempt = AttemptInFlight(delivery, webhook, lane.gone_since)
        if self.tracing is not None:
            attempt.trace = self.tracing.attempt(delivery, webhook.webhook.endpoint, now)
        self._attempts[attempt] = lane
        try:
            attempt.begin(self._client, self._clock, partial(self._on_outcome, attempt))
        except Exception as error:  # noqa: BLE001 a fault with one delivery must not stop the others
            asyncio.get_running_loop().call_soon(self._on_crash, attempt, error)

    def _on_outcome(self, attempt: AttemptInFlight, outcome: Outcome) -> None:
        try:
            result = attempt.conclude(outcome)
        except Exception as error:  # noqa: BLE001 as above
            self._on_crash(attempt, error)
        else:
            self._end(attempt, result)

    def _on_crash(self, attempt: AttemptInFlight, error: Exception) -> None:
        lane = self._attempts.get(attempt)
        if lane is None:
            return  # aborted meanwhile
        _log.error("attempt_crashed", delivery_id=attempt.delivery.id, exc_info=error)
        self._back_off(lane)
        self._end(attempt, None)

    def _end(self, attempt: AttemptInFlight, result: AttemptResult | None) -> None:
        """Act on a result; None: it is unknown whether the request arrived."""
        lane = self._attempts.pop(attempt)
        try:
            if result is None:
                attempt.abandon()
                self._claim_loop.release_aborted(attempt.delivery)
            else:
                self._on_result(lane, result)
        finally:
            lane.finish(self._clock.now())
            for waiting in self._slots.release(lane):
                self._schedule(waiting)
            self._schedule(lane)
            self._launch_ready()
            if not self._attempts:
                self._attempts_ended.set()

    def _on_result(self, lane: Lane, result: AttemptResult) -> None:
        verdict, now = result.verdict, self._clock.now()
        self.counts.attempt_ended(result)
        if verdict.not_counted:
            self._claim_loop.release((result.delivery,))
            self._back_off(lane)
            return
        self._recorder.add(result)
        lane.apply_verdict(verdict, result.attempt.started_at, now)
        if verdict.disable_reason:
            lane.webhook = None
            self._release_queued(lane)
        self._hold_if_held(lane, now)

    def _on_recorded(self, results: Sequence[AttemptResult]) -> None:
        """Count what is in the database now, show it to viewers, and claim retries when they are due."""
        if self.live_tail.viewers:
            self.live_tail.recorded(results)
        for result in results:
            self.counts.recorded(result)
            if result.verdict.next_attempt_at is not None:
                self.notify_due((result.delivery.webhook_id,), result.verdict.next_attempt_at)

    def _pause(self, organization_id: str, is_paused: bool) -> None:
        """Launch nothing of an organization while its results that are not recorded take too much memory."""
        if is_paused:
            self._paused_organizations.add(organization_id)
            return
        self._paused_organizations.discard(organization_id)
        for lane in self._lanes:
            if lane.organization_id == organization_id:
                self._schedule(lane)
        self._launch_ready()

    # --- lanes

    def _schedule(self, lane: Lane) -> None:
        if lane.queued:
            self._fair_queue.add(lane)

    def _is_loaded(self, lane: Lane) -> bool:
        """Return True if the lane has its webhook, as new as its next delivery; if not, begin to load it."""
        if lane.webhook is not None and lane.webhook.webhook.version >= lane.peek().webhook_version:
            return True
        if not lane.is_loading:
            lane.is_loading = True
            task = asyncio.get_running_loop().create_task(self._load(lane))
            self._loads.add(task)
            task.add_done_callback(self._loads.discard)
        return False

    async def _load(self, lane: Lane) -> None:
        may_be_sent_to = False
        try:
            may_be_sent_to = await self._loader.load(lane)
        finally:
            lane.is_loading = False
            if not may_be_sent_to:
                self._release_queued(lane)
            self._hold_if_held(lane, self._clock.now())
            self._schedule(lane)
            self._launch_ready()

    def _back_off(self, lane: Lane) -> None:
        """Send nothing for a moment: a fault of our own kept the lane from sending."""
        now = self._clock.now()
        lane.breaker.back_off(now)
        self._hold_if_held(lane, now)

    def _hold_if_held(self, lane: Lane, now: int) -> None:
        """Exclude a lane on hold from ``enqueue``; if the hold is long, give back what is queued."""
        if not lane.breaker.is_held(now):
            return
        self._lanes.hold(lane, now)
        if lane.breaker.held_until - now > RELEASE_IF_HELD_FOR:
            self._release_queued(lane)

    def _recheck(self, lane: Lane) -> None:
        """Schedule a lane whose hold or rate limit may have passed."""
        now = self._clock.now()
        if lane.breaker.is_held(now):
            self._lanes.recheck_in(lane, lane.breaker.held_until - now)
            return
        self._reopen(lane)
        self._resume(lane)

    def _resume(self, lane: Lane) -> None:
        self._schedule(lane)
        self._launch_ready()

    def _reopen(self, lane: Lane) -> None:
        """End the lane's hold if its time has come, and claim what waits in the database."""
        if self._lanes.try_reopen(lane, self._clock.now()):
            self._schedule(lane)
            self._claim_loop.wake()

    def _release_stale(self, lane: Lane, now: int) -> None:
        """Give back what was queued for so long that its lease no longer outlives an attempt."""
        timeout = self._settings.attempt_timeout if lane.webhook is None else lane.webhook.timeout
        while lane.queued and lane.peek().lease_until - now < timeout + LEASE_MARGIN:
            self._release(lane, lane.drop())

    def _release_queued(self, lane: Lane) -> None:
        """Give back everything that is queued in a lane."""
        for delivery in list(lane.drain()):
            self._release(lane, delivery)

    def _release(self, lane: Lane, delivery: LeasedDelivery) -> None:
        self._count_dequeued(lane, delivery)
        self._claim_loop.release((delivery,))

    def _count_dequeued(self, lane: Lane, delivery: LeasedDelivery) -> None:
        if self._queue.remove(lane, delivery):
            self._claim_loop.wake()
