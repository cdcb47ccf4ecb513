"""Hold the queue of each webhook on this node, its lane, and decide when its next delivery may go.

A lane is limited by its in-flight cap, by its rate limit, and by its circuit breaker (circuit_breaker.py). A lane
neither reads a clock nor sends: every method takes the present instant.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Iterator
from typing import Final

from packhook.core.clock import MINUTE, SECOND
from packhook.core.health import LaneReport
from packhook.core.model import DeliveryStatus, LeasedDelivery, Urgency, Verdict
from packhook.delivery.attempt import PreparedWebhook
from packhook.delivery.circuit_breaker import LONGEST_HOLD, CircuitBreaker

INITIAL_CAP: Final = 8.0
IDLE_LIFETIME: Final = 10 * MINUTE
LOW_FIRST_EVERY: Final = 10
_ORDER: Final = tuple(Urgency)
_LOW_FIRST_ORDERS: Final = (
    (Urgency.RETRY, Urgency.REPLAY, Urgency.FIRST),
    (Urgency.REPLAY, Urgency.RETRY, Urgency.FIRST),
)


class Lane:
    """Queue the deliveries of one webhook that are leased to this node.

    ``webhook`` is None until it is loaded. ``generation`` grows each time the webhook is changed. ``gone_since`` is the
    instant at which its endpoint began to respond with 410.
    """

    __slots__ = (
        "_bucket",
        "_cap",
        "_first",
        "_queues",
        "_replays",
        "_seen_at",
        "_taken",
        "breaker",
        "generation",
        "gone_since",
        "idle_since",
        "in_flight",
        "is_loading",
        "organization_id",
        "queued",
        "webhook",
        "webhook_id",
    )

    def __init__(self, webhook_id: str, organization_id: str, max_in_flight: int) -> None:
        self.webhook_id = webhook_id
        self.organization_id = organization_id
        self.webhook: PreparedWebhook | None = None
        self.generation = 0
        self.gone_since: int | None = None
        self.is_loading = False
        self.in_flight = 0
        self.queued = 0
        self.idle_since = 0
        self.breaker = CircuitBreaker()
        self._cap = InFlightCap(max_in_flight)
        self._bucket = TokenBucket()
        self._queues: dict[Urgency, deque[LeasedDelivery]] = {urgency: deque() for urgency in Urgency}
        self._first = self._queues[Urgency.FIRST]
        self._replays = self._queues[Urgency.REPLAY]
        self._seen_at = 0
        self._taken = 0

    # --- the queue

    def put(self, delivery: LeasedDelivery) -> None:
        """Queue a delivery: first attempts go before retries, both before replays."""
        self._queues[delivery.urgency].append(delivery)
        self.queued += 1

    @property
    def has_only_replays(self) -> bool:
        """Return True if everything that is queued is replayed."""
        return len(self._replays) == self.queued

    def peek(self) -> LeasedDelivery:
        """Return the delivery that goes next, and leave it queued. IndexError if the queue is empty."""
        return self._next_queue()[0]

    def drop(self) -> LeasedDelivery:
        """Remove and return the delivery that would go next; it is not sent. IndexError if the queue is empty."""
        delivery = self._next_queue().popleft()
        self.queued -= 1
        return delivery

    def take(self, now: int) -> LeasedDelivery:
        """Remove and return the next delivery to send; it counts as in flight. IndexError if the queue is empty."""
        delivery = self.drop()
        self._taken += 1
        self.in_flight += 1
        self._bucket.spend(now, self.rate_limit)
        return delivery

    def drain(self) -> Iterator[LeasedDelivery]:
        """Remove and yield everything that is queued."""
        for queue in self._queues.values():
            while queue:
                self.queued -= 1
                yield queue.popleft()

    def _next_queue(self) -> deque[LeasedDelivery]:
        """Return the most urgent queue that is not empty; every tenth time the least urgent: no retry may starve."""
        if self.queued and len(self._first) == self.queued:
            return self._first
        rounds, position = divmod(self._taken, LOW_FIRST_EVERY)
        low_first = position == LOW_FIRST_EVERY - 1
        for urgency in _LOW_FIRST_ORDERS[rounds % len(_LOW_FIRST_ORDERS)] if low_first else _ORDER:
            if self._queues[urgency]:
                return self._queues[urgency]
        raise IndexError("the lane is empty")

    # --- its limits

    @property
    def rate_limit(self) -> float:
        """Return the most deliveries a second that the webhook or its endpoint allows; 0: no limit, or not loaded."""
        return 0.0 if self.webhook is None else self.webhook.rate_limit

    def ready_at(self, now: int) -> int | None:
        """Return the instant from which one more may be sent, ``now`` or earlier: at once; None: when one has ended."""
        breaker = self.breaker
        if self.in_flight >= (1 if breaker.is_probing or breaker.held_until > now else self._cap.value):
            return None
        return max(breaker.held_until, self._bucket.available_at(now, self.rate_limit))

    def report(self) -> LaneReport:
        """Return what the lane has learned about its endpoint."""
        return LaneReport(
            held_until=self.breaker.held_until, is_probing=self.breaker.is_probing, limit_cut_at=self._cap.cut_at
        )

    def is_busy(self, now: int) -> bool:
        """Return True if the lane has work, or state that should not be lost."""
        breaker = self.breaker
        return bool(self.queued or self.in_flight or self.is_loading or breaker.is_held(now) or breaker.is_probing)

    # --- what changes them

    def finish(self, now: int) -> None:
        """End one attempt in flight, whatever its result."""
        self.in_flight -= 1
        self.idle_since = now

    def apply_verdict(self, verdict: Verdict, started_at: int, now: int) -> None:
        """Adapt the limits to what an attempt that started at ``started_at`` says about the endpoint."""
        self.on_clock_jump(now)
        self.gone_since = verdict.gone_since
        if verdict.hold_until is not None:
            self.breaker.hold_until(verdict.hold_until)
        if verdict.status is DeliveryStatus.DELIVERED:
            self._succeeded()
        elif verdict.endpoint_down:
            self.breaker.record_failure(now, self._longest_hold())
        if verdict.overloaded:
            self._cap.cut(started_at, now)

    def reset(self) -> None:
        """Forget what was learned: the webhook was changed, and has to be loaded again."""
        self.generation += 1
        self.webhook = None
        self.breaker.reset()

    def on_clock_jump(self, now: int) -> None:
        """Move the lane's instants back if the clock was set back since the last call."""
        if now < self._seen_at:
            back = self._seen_at - now
            self.breaker.move_back(back)
            self._cap.move_back(back)
        self._seen_at = now

    def _succeeded(self) -> None:
        if self.breaker.is_probing:
            self._cap.restart()
        self.breaker.record_success()
        self._cap.grow()

    def _longest_hold(self) -> int:
        waits = () if self.webhook is None else self.webhook.policy.retry_schedule
        return max(waits, default=LONGEST_HOLD)


class InFlightCap:
    """Adapt the number of attempts in flight to what an endpoint bears: additive increase, multiplicative decrease.

    It grows by one with each success, so it doubles from round to round; once it was cut it grows by one in a round.
    ``cut_at`` is when overload last halved it, 0 if never.
    """

    __slots__ = ("_cap", "_limit", "_slow_start_below", "cut_at")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._cap = min(INITIAL_CAP, limit)
        self._slow_start_below = float(limit)
        self.cut_at = 0

    @property
    def value(self) -> int:
        """Return how many attempts may be in flight."""
        return int(self._cap)

    def grow(self) -> None:
        """Raise the cap after a success."""
        step = 1.0 if self._cap < self._slow_start_below else 1.0 / self._cap
        self._cap = min(self._limit, self._cap + step)

    def cut(self, started_at: int, now: int) -> None:
        """Halve the cap, once for all attempts that were in flight together."""
        if started_at <= self.cut_at:
            return
        self._cap = self._slow_start_below = max(1.0, self._cap / 2)
        self.cut_at = now

    def restart(self) -> None:
        """Begin at one again: the endpoint has just come back."""
        self._cap = 1.0

    def move_back(self, milliseconds: int) -> None:
        """Move the instant of the last cut back with a clock that was set back."""
        self.cut_at -= milliseconds


class TokenBucket:
    """Limit attempts to a rate, in attempts a second; 0 is no limit.

    The bucket holds one second's worth of attempts, one at least.
    """

    __slots__ = ("_filled_at", "_tokens")

    def __init__(self) -> None:
        self._tokens = 1.0
        self._filled_at = 0

    def available_at(self, now: int, rate: float) -> int:
        """Return the instant from which one more attempt may begin; ``now`` means at once."""
        if not rate:
            return now
        self._refill(now, rate)
        return now if self._tokens >= 1 else now + max(1, round((1 - self._tokens) / rate * SECOND))

    def spend(self, now: int, rate: float) -> None:
        """Take the token of an attempt that begins."""
        if rate:
            self._refill(now, rate)
            self._tokens -= 1

    def _refill(self, now: int, rate: float) -> None:
        gained = max(0, now - self._filled_at) / SECOND * rate  # a clock that was set back takes nothing away
        self._tokens = min(max(1.0, rate), self._tokens + gained)
        self._filled_at = now


class LaneTable:
    """Find lanes by webhook. Each has at most one timer, which calls ``recheck`` with the lane.

    ``held`` are the webhooks whose lanes are on hold: they get nothing new until they are reopened.
    """

    def __init__(self, max_in_flight_per_lane: int, recheck: Callable[[Lane], None]) -> None:
        self._max_in_flight_per_lane = max_in_flight_per_lane
        self._recheck = recheck
        self._lanes: dict[str, Lane] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._cleaned_at = 0
        self.held: set[str] = set()

    def __iter__(self) -> Iterator[Lane]:
        return iter(self._lanes.values())

    def __len__(self) -> int:
        return len(self._lanes)

    def __contains__(self, webhook_id: str) -> bool:
        return webhook_id in self._lanes

    def __getitem__(self, webhook_id: str) -> Lane:
        return self._lanes[webhook_id]

    def get(self, webhook_id: str) -> Lane | None:
        """Return the lane of this webhook, None if there is none."""
        return self._lanes.get(webhook_id)

    def get_or_create(self, webhook_id: str, organization_id: str) -> Lane:
        """Return the lane of this webhook."""
        lane = self._lanes.get(webhook_id)
        if lane is None:
            lane = self._lanes[webhook_id] = Lane(webhook_id, organization_id, self._max_in_flight_per_lane)
        return lane

    def hold(self, lane: Lane, now: int) -> None:
        """Put a lane on hold until its breaker's hold is over, and recheck it then."""
        self.held.add(lane.webhook_id)
        self.recheck_in(lane, lane.breaker.held_until - now)

    def try_reopen(self, lane: Lane, now: int) -> bool:
        """End the lane's hold if its time has come; return True if that ended one."""
        if lane.webhook_id not in self.held or lane.breaker.is_held(now):
            return False
        self.held.discard(lane.webhook_id)
        return True

    def recheck_in(self, lane: Lane, milliseconds: int) -> None:
        """Call ``recheck`` after this time, or at an earlier instant that is planned already."""
        loop = asyncio.get_running_loop()
        at = loop.time() + max(1, milliseconds) / SECOND
        planned = self._timers.get(lane.webhook_id)
        if planned is not None:
            if planned.when() <= at:
                return
            planned.cancel()
        self._timers[lane.webhook_id] = loop.call_at(at, self._on_timer, lane)

    def remove_idle(self, now: int, keep: Collection[str]) -> None:
        """Remove, now and then, the lanes that have been idle for ten minutes; what they learned goes with them."""
        if now - self._cleaned_at < IDLE_LIFETIME // 10:
            return
        self._cleaned_at = now
        for lane in list(self._lanes.values()):
            webhook_id = lane.webhook_id
            is_idle = not lane.is_busy(now) and now - lane.idle_since > IDLE_LIFETIME
            if is_idle and webhook_id not in self.held and webhook_id not in keep:
                del self._lanes[webhook_id]
                self._cancel_timer(webhook_id)

    def close(self) -> None:
        """Cancel all timers."""
        for webhook_id in list(self._timers):
            self._cancel_timer(webhook_id)

    def _cancel_timer(self, webhook_id: str) -> None:
        timer = self._timers.pop(webhook_id, None)
        if timer is not None:
            timer.cancel()

    def _on_timer(self, lane: Lane) -> None:
        self._timers.pop(lane.webhook_id, None)
        self._recheck(lane)
