"""Count what a node does, at a cost that an event does not notice: plain numbers, read by a scrape (metrics.py).

Each part of a node has its own counts and adds to them where it works: the store to :class:`StoreCounts`, the scheduler
to :class:`DeliveryCounts`. Nothing is labeled, locked or formatted on the way of an event.
"""

import asyncio
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

from packhook.core.clock import SECOND
from packhook.core.model import AttemptResult, DeliveryStatus, FailureKind

DELIVERED: Final = DeliveryStatus.DELIVERED.value
RESULTS: Final = (DELIVERED, *(kind.value for kind in FailureKind))
"""What an attempt can come to: delivered, or the code of its error."""

FINISHED: Final = (DELIVERED, DeliveryStatus.EXHAUSTED.value)

COMMIT_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
REQUEST_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
DELIVERY_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 3600.0, 86_400.0)
LAG_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
BATCH_SIZES: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)
LAG_EVERY: Final = 0.5
NOTE_EVERY: Final = 5.0
LONGEST_RATE: Final = 300.0


class Histogram:
    """Count values by upper bound; ``counts`` has one place more than ``bounds``, for those above the last."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class StoreCounts:
    """Count what a store has done since it was made. ``writes`` are those that shared one transaction.

    ``connections`` returns how many connections to a database server are open.
    """

    __slots__ = ("commit_seconds", "connections", "errors", "published", "writes")

    def __init__(self) -> None:
        self.published = 0
        self.errors = 0
        self.connections: Callable[[], int] = lambda: 0
        self.commit_seconds = Histogram(COMMIT_SECONDS)
        self.writes = Histogram(BATCH_SIZES)

    def committed(self, seconds: float, writes: int) -> None:
        """Count a transaction: how long it took, and how many writes it had."""
        self.commit_seconds.observe(seconds)
        self.writes.observe(writes)


class DeliveryCounts:
    """Count attempts by result when they end, and finished deliveries once that is recorded."""

    __slots__ = ("attempts", "delivery_seconds", "finished", "receiver_seconds")

    def __init__(self) -> None:
        self.attempts = Counter(dict.fromkeys(RESULTS, 0))
        self.finished = Counter(dict.fromkeys(FINISHED, 0))
        self.receiver_seconds = Histogram(REQUEST_SECONDS)
        self.delivery_seconds = Histogram(DELIVERY_SECONDS)

    def totals(self) -> tuple[int, int]:
        """Return how many attempts ended, and how many of them delivered."""
        return self.attempts.total(), self.attempts[DELIVERED]

    def attempt_ended(self, result: AttemptResult) -> None:
        """Count an attempt; one that was never sent has no time of a receiver."""
        self.attempts[result.verdict.error_code or DELIVERED] += 1
        if not result.verdict.not_counted:
            self.receiver_seconds.observe(result.attempt.duration / SECOND)

    def recorded(self, result: AttemptResult) -> None:
        """Count a delivery that its attempt has finished."""
        status = result.verdict.status
        if status is DeliveryStatus.PENDING:
            return
        self.finished[status.value] += 1
        if status is DeliveryStatus.DELIVERED:
            attempt = result.attempt
            took = attempt.started_at + attempt.duration - result.delivery.event_created_at
            self.delivery_seconds.observe(max(0, took) / SECOND)


class Totals(NamedTuple):
    """Hold what a node has done since it started."""

    published: int
    attempts: int
    delivered: int


class RecentRates:
    """Remember the totals of the last minutes, and tell how many happened a second."""

    def __init__(self, read: Callable[[], Totals]) -> None:
        self._read = read
        self._seen: deque[tuple[float, Totals]] = deque(maxlen=int(LONGEST_RATE / NOTE_EVERY) + 2)

    def note(self, now: float) -> None:
        """Remember the totals, if the last ones are some seconds old; ``now`` is in seconds of a monotonic clock."""
        if not self._seen or now - self._seen[-1][0] >= NOTE_EVERY:
            self._seen.append((now, self._read()))

    def since(self, seconds: float, now: float) -> tuple[float, float, float]:
        """Return published, attempts and delivered a second, over this time or as long as it is known."""
        totals = self._read()
        known = [(at, seen) for at, seen in self._seen if now - at <= seconds + NOTE_EVERY]
        began, before = known[0] if known else (now, totals)
        took = max(NOTE_EVERY, now - began)
        published, attempts, delivered = (
            round((after - then) / took, 2) for after, then in zip(totals, before, strict=True)
        )
        return published, attempts, delivered


class LoopLag:
    """Measure twice a second how late the event loop calls back. ``seconds`` has the delays.

    ``on_measured`` gets the time of the loop each time.
    """

    def __init__(self, on_measured: Callable[[float], None] = lambda _: None) -> None:
        self.seconds = Histogram(LAG_SECONDS)
        self._on_measured = on_measured
        self._timer: asyncio.TimerHandle | None = None

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """Measure the running event loop within the block."""
        self._schedule(asyncio.get_running_loop())
        try:
            yield
        finally:
            if self._timer is not None:
                self._timer.cancel()

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        due = loop.time() + LAG_EVERY
        self._timer = loop.call_at(due, self._on_timer, loop, due, loop.time)

    def _on_timer(self, loop: asyncio.AbstractEventLoop, due: float, clock: Callable[[], float]) -> None:
        now = clock()
        self.seconds.observe(max(0.0, now - due))
        self._on_measured(now)
        self._schedule(loop)
