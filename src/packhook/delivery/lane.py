"""One webhook's lane: what waits in memory, how much may be under way at once, and when to hold back.

Three things hold a lane back: its in-flight cap (it grows by one with each success, so it doubles from round to round,
and is halved when the endpoint is overloaded), its rate limit, and a hold: until an instant that the endpoint named
(``Retry-After``), or by the breaker. The breaker opens after ten failures in a row that say the endpoint is down; then
nothing is sent and no attempt is spent until the hold is over; one probe decides whether the hold doubles or the cap
begins to grow again from one.

Nothing here reads a clock or sends: everything is told the present instant.
"""

from collections import deque
from collections.abc import Iterator
from typing import Final

from packhook.core.clock import MINUTE, SECOND
from packhook.core.model import DeliveryStatus, LeasedDelivery, Urgency, Verdict
from packhook.delivery.target import PreparedWebhook

BREAKER_AFTER: Final = 10
FIRST_HOLD: Final = 1 * SECOND
LONGEST_HOLD: Final = 1 * MINUTE
FIRST_CAP: Final = 8.0
LEAST_URGENT_EACH: Final = 10
_ORDER: Final = tuple(Urgency)
_DELIVERED: Final = DeliveryStatus.DELIVERED
_TURNED: Final = ((Urgency.RETRY, Urgency.REPLAY, Urgency.FIRST), (Urgency.REPLAY, Urgency.RETRY, Urgency.FIRST))


class Lane:
    """The deliveries of one webhook that this node has in hand."""

    __slots__ = (
        "_cap",
        "_cut_at",
        "_failures",
        "_first",
        "_growing_to",
        "_hold",
        "_limit",
        "_queues",
        "_seen_at",
        "_taken",
        "_tokens",
        "_tokens_at",
        "generation",
        "gone_since",
        "held_until",
        "idle_since",
        "in_flight",
        "is_loading",
        "organization_id",
        "queued",
        "target",
        "webhook_id",
    )

    def __init__(self, webhook_id: str, organization_id: str, limit: int) -> None:
        self.webhook_id = webhook_id
        self.organization_id = organization_id
        self.target: PreparedWebhook | None = None
        self.generation = 0
        self.gone_since: int | None = None
        self.is_loading = False
        self.in_flight = 0
        self.queued = 0
        self.held_until = 0
        self.idle_since = 0
        self._queues: dict[Urgency, deque[LeasedDelivery]] = {urgency: deque() for urgency in Urgency}
        self._first = self._queues[Urgency.FIRST]
        self._limit = limit
        self._cap = min(FIRST_CAP, limit)
        self._growing_to = float(limit)
        self._cut_at = 0
        self._seen_at = 0
        self._taken = 0
        self._failures = 0
        self._hold = FIRST_HOLD
        self._tokens = 1.0
        self._tokens_at = 0

    # --- what waits

    def put(self, delivery: LeasedDelivery) -> None:
        """Queue a delivery: first attempts go before retries, both before replays."""
        self._queues[delivery.urgency].append(delivery)
        self.queued += 1

    def next(self) -> LeasedDelivery:
        """The delivery that goes next; it stays. IndexError where none waits."""
        return self._next_queue()[0]

    def drop(self) -> LeasedDelivery:
        """The delivery that would go next, taken out unsent. IndexError where none waits."""
        delivery = self._next_queue().popleft()
        self.queued -= 1
        return delivery

    def _next_queue(self) -> deque[LeasedDelivery]:
        """The most urgent that has something; now and then the least, so that no retry waits for ever."""
        if self.queued and len(self._first) == self.queued:
            return self._first
        rounds, place = divmod(self._taken, LEAST_URGENT_EACH)
        order = _ORDER if place < LEAST_URGENT_EACH - 1 else _TURNED[rounds % len(_TURNED)]
        for urgency in order:
            if self._queues[urgency]:
                return self._queues[urgency]
        raise IndexError("nothing waits in this lane")

    def take(self, now: int) -> LeasedDelivery:
        """The next delivery to send, now under way. IndexError where none waits."""
        delivery = self.drop()
        self._taken += 1
        self.in_flight += 1
        self._spend_token(now)
        return delivery

    def empty(self) -> Iterator[LeasedDelivery]:
        """Everything that waits, taken out."""
        for queue in self._queues.values():
            while queue:
                self.queued -= 1
                yield queue.popleft()

    # --- whether it may go

    def ready_at(self, now: int) -> int | None:
        """The instant from which one more may be sent; at most ``now`` is at once, None is after a completion."""
        if self.in_flight >= self._cap_now(now):
            return None
        return max(self.held_until, self._token_at(now))

    def is_held(self, now: int) -> bool:
        """Whether nothing may be sent, however little is under way."""
        return self.held_until > now

    def mind_the_clock(self, now: int) -> None:
        """Where the clock was set back since this was last called, what was planned by it moves back too."""
        if now < self._seen_at:
            back = self._seen_at - now
            self.held_until -= back
            self._cut_at -= back
        self._seen_at = now

    @property
    def has_failed(self) -> bool:
        """Whether the last attempts failed as if the endpoint were down."""
        return self._failures > 0

    @property
    def is_probing(self) -> bool:
        """Whether the breaker waits for one attempt to tell how the endpoint is."""
        return self._failures >= BREAKER_AFTER

    def _cap_now(self, now: int) -> int:
        return 1 if self.is_probing or self.held_until > now else int(self._cap)

    def rate(self) -> float:
        """Deliveries a second that its webhook, or its endpoint, wants at most; 0 is no limit, or not known yet."""
        return 0.0 if self.target is None else self.target.rate

    def _token_at(self, now: int) -> int:
        rate = self.rate()
        if not rate:
            return now
        self._refill(now, rate)
        return now if self._tokens >= 1 else now + max(1, round((1 - self._tokens) / rate * SECOND))

    def _refill(self, now: int, rate: float) -> None:
        """A bucket of one second's worth, one at least."""
        gained = max(0, now - self._tokens_at) / SECOND * rate  # a clock that was set back takes nothing away
        self._tokens = min(max(1.0, rate), self._tokens + gained)
        self._tokens_at = now

    def _spend_token(self, now: int) -> None:
        rate = self.rate()
        if rate:
            self._refill(now, rate)
            self._tokens -= 1

    # --- what it learns

    def finish(self, now: int) -> None:
        """One that was under way has ended, whatever came of it."""
        self.in_flight -= 1
        self.idle_since = now

    def learn(self, verdict: Verdict, started_at: int, now: int) -> None:
        """What an attempt that started at ``started_at`` says of the endpoint."""
        self.mind_the_clock(now)
        if verdict.hold_until is not None:
            self.held_until = max(self.held_until, verdict.hold_until)
        if verdict.status is _DELIVERED:
            self._succeeded()
        elif verdict.endpoint_down:
            self._failed(now)
        if verdict.overloaded:
            self._cut(started_at, now)

    def begin_anew(self) -> None:
        """The webhook was changed: what was learned of it as it was no longer holds."""
        self.generation += 1
        self.target = None
        self.held_until = 0
        self._failures = 0
        self._hold = FIRST_HOLD

    def stumble(self, now: int) -> None:
        """A fault of ours, which says nothing of the endpoint: wait a moment, and longer each time.

        Those that were under way together are one time.
        """
        if self.held_until > now:
            return
        self.held_until = now + self._hold
        self._hold = min(self._hold * 2, LONGEST_HOLD)

    def _succeeded(self) -> None:
        if self.is_probing:
            self._cap = 1.0
        self._failures = 0
        self._hold = FIRST_HOLD
        step = 1.0 if self._cap < self._growing_to else 1.0 / self._cap
        self._cap = min(self._limit, self._cap + step)

    def _failed(self, now: int) -> None:
        self._failures += 1
        if not self.is_probing or self.held_until > now:
            return
        waits = () if self.target is None else self.target.schedule
        longest = min(LONGEST_HOLD, max(waits, default=LONGEST_HOLD))
        self.held_until = now + min(self._hold, longest)
        self._hold = min(self._hold * 2, LONGEST_HOLD)

    def _cut(self, started_at: int, now: int) -> None:
        """Halve the cap, once for all attempts that were under way together."""
        if started_at <= self._cut_at:
            return
        self._cap = self._growing_to = max(1.0, self._cap / 2)
        self._cut_at = now
