"""Count attempts by outcome and by the receiver's time, and read rates and percentiles from the counts.

::

    Attempt ─ classify ─▶ outcome, latency ─ store ─▶ buckets of 5 minutes ─ retention ─▶ buckets of 1 hour
                                                                 └────────── summarize ◀─────────────┘

A count belongs to the bucket in which its attempt ended. A latency is kept as the upper bound of its class in
milliseconds. There are ten classes for each power of ten, so a percentile is wrong by at most 12.5 %; NO_LATENCY counts
attempts that the receiver did not respond to, except timeouts, which the receiver caused.
"""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from math import ceil, sqrt
from typing import Any, Final, NamedTuple

from msgspec import Struct

from packhook.core.clock import DAY, HOUR, MINUTE
from packhook.core.errors import FieldError, InvalidInput
from packhook.core.model import Attempt, AttemptResult, DeliveryStatus, FailureKind

FINE: Final = 5
COARSE: Final = 60
"""Minutes of the two kinds of buckets; the database has them as ``span``."""

SMALLEST_STEP: Final = FINE * MINUTE
MAX_POINTS: Final = 1_000
DEFAULT_STEPS: Final = (SMALLEST_STEP, HOUR, DAY)
DEFAULT_POINTS: Final = 200
FINE_FOR: Final = DAY
"""For at least so long there are buckets of 5 minutes."""
KEPT_FOR: Final = 90 * DAY
LATE_FOR: Final = 10 * MINUTE
"""After so long no attempt of a deleted webhook is recorded any more."""
ORPHANS_AT_ONCE: Final = 2
"""How many deleted webhooks a batch of retention deletes the counts of."""

NODE_PREFIX: Final = "node:"
"""Begins the source of what a node counts for all webhooks together; alone it stands for several nodes."""
ALL_NODES: Final = (NODE_PREFIX, "node;")
"""The first and the last source that can begin so."""

NO_LATENCY: Final = 0
_BOUNDS: Final = tuple(sorted({round(10 ** (step / 10)) for step in range(46)}))
_FINE_MS: Final = FINE * MINUTE
_DELIVERED: Final = "delivered"


class OutcomeClass(StrEnum):
    """Name what became of an attempt, as charts show it."""

    DELIVERED = "delivered"
    REDIRECT = "redirect"  # 3xx
    CLIENT_ERROR = "client_error"  # 4xx but 429
    THROTTLED = "throttled"  # 429
    SERVER_ERROR = "server_error"  # 5xx
    TIMEOUT = "timeout"
    CONNECTION_FAILED = "connection_failed"  # DNS, TCP, TLS, tunnel, reset
    OTHER = "other"  # not allowed, an invalid response, a fault of packhook


_BY_FAILURE: Final = {
    FailureKind.REDIRECT.value: OutcomeClass.REDIRECT,
    FailureKind.THROTTLED.value: OutcomeClass.THROTTLED,
    FailureKind.GONE.value: OutcomeClass.CLIENT_ERROR,
    FailureKind.TIMEOUT.value: OutcomeClass.TIMEOUT,
    **dict.fromkeys(
        (
            FailureKind.DNS.value,
            FailureKind.CONNECT.value,
            FailureKind.TLS.value,
            FailureKind.RESET.value,
            FailureKind.TUNNEL.value,
        ),
        OutcomeClass.CONNECTION_FAILED,
    ),
}


class Increment(NamedTuple):
    """Hold what a batch adds to one row, in the columns of ``count_attempts``. ``last_at``: the last attempt's end."""

    start: int
    source: str
    outcome: str
    latency: int
    attempts: int
    exhausted: int
    last_at: int


class AttemptCount(NamedTuple):
    """Count the attempts of a bucket, or of several, with one outcome and one class of latencies.

    ``exhausted`` are those after which a delivery was given up. ``last_at`` is when the last one ended.
    """

    outcome: str
    latency: int
    attempts: int
    exhausted: int
    last_at: int


class BucketKey(NamedTuple):
    """Name a bucket to read, and the step of the series that it belongs to."""

    span: int
    start: int
    step: int


class Summary(Struct, frozen=True, kw_only=True):
    """Sum up attempts from ``start`` on: counts, and percentiles of the receiver's time in milliseconds.

    A percentile is None if no attempt has a latency. The instants are the ends of the last attempts, None without one.
    """

    start: int
    outcomes: dict[OutcomeClass, int]
    exhausted: int = 0
    p50: int | None = None
    p95: int | None = None
    p99: int | None = None
    last_success_at: int | None = None

    @property
    def attempts(self) -> int:
        """Return the number of attempts."""
        return sum(self.outcomes.values())

    @property
    def delivered(self) -> int:
        """Return the number of attempts that delivered."""
        return self.outcomes[OutcomeClass.DELIVERED]

    @property
    def success_rate(self) -> float | None:
        """Return the share of attempts that delivered, None without attempts."""
        return self.delivered / self.attempts if self.attempts else None


class Series(Struct, frozen=True, kw_only=True):
    """Hold the steps of a series: their length, where each begins, and where the last one ends."""

    step: int
    steps: range
    until: int


def bucket_of(attempt: Attempt) -> int:
    """Return the start of the bucket of 5 minutes in which an attempt ended."""
    ended_at = attempt.started_at + attempt.duration
    return ended_at - ended_at % _FINE_MS


def classify(attempt: Attempt) -> tuple[str, int]:
    """Return the class of an attempt's outcome, and that of its latency."""
    if not attempt.error_code:  # most of them
        return _DELIVERED, latency_class(attempt.duration)
    outcome = _class_of_failure(attempt)
    has_latency = attempt.status_code is not None or outcome is OutcomeClass.TIMEOUT
    return outcome.value, latency_class(attempt.duration) if has_latency else NO_LATENCY


def _class_of_failure(attempt: Attempt) -> OutcomeClass:
    if attempt.error_code == FailureKind.STATUS:
        return OutcomeClass.SERVER_ERROR if (attempt.status_code or 0) >= 500 else OutcomeClass.CLIENT_ERROR
    return _BY_FAILURE.get(attempt.error_code, OutcomeClass.OTHER)


def latency_class(duration: int) -> int:
    """Return the upper bound of the class of a duration, both in milliseconds; the last class has no end."""
    return _BOUNDS[min(bisect_left(_BOUNDS, duration), len(_BOUNDS) - 1)]


def increments(results: Iterable[AttemptResult], node: str) -> list[Increment]:
    """Return what these recorded results add, for their webhooks and for the node, in the order of the rows' keys."""
    counted: dict[tuple[int, str, str, int], tuple[int, int, int]] = {}

    def add(key: tuple[int, str, str, int], attempts: int, exhausted: int, last_at: int) -> None:
        before = counted.get(key)
        if before is None:
            counted[key] = attempts, exhausted, last_at
        else:
            counted[key] = before[0] + attempts, before[1] + exhausted, max(before[2], last_at)

    for result in results:
        made = result.attempt
        outcome, latency = classify(made)
        is_exhausted = result.verdict.status is DeliveryStatus.EXHAUSTED
        key = bucket_of(made), result.delivery.webhook_id, outcome, latency
        add(key, 1, is_exhausted, made.started_at + made.duration)
    for (start, _, outcome, latency), count in list(counted.items()):
        add((start, node, outcome, latency), *count)
    return [Increment(*key, *counted[key]) for key in sorted(counted)]


def roll_up_before(now: int) -> int:
    """Return the instant before which buckets of 5 minutes become buckets of an hour."""
    return now - now % HOUR - FINE_FOR


def bucket_keys(steps: Sequence[int], until: int, oldest_fine: int | None) -> Iterator[BucketKey]:
    """Yield the buckets that begin in the series ``steps`` (ascending instants) and before ``until``.

    ``oldest_fine`` is the first bucket of 5 minutes that is left, None without one. A bucket of an hour counts where it
    begins.
    """
    since = steps[0]
    yield from _keys(COARSE, since, steps, until)
    if oldest_fine is not None:
        yield from _keys(FINE, max(since, oldest_fine), steps, until)


def begin_of(instant: int, now: int) -> int:
    """Return where the bucket of an instant begins: of 5 minutes, or of an hour where those are joined."""
    size = HOUR if instant < roll_up_before(now) else _FINE_MS
    return instant - instant % size


def series(since: int | None, until: int | None, step: int | None, now: int) -> Series:
    """Return the steps from ``since`` (None: a day ago) to ``until`` (None, or in the future: now), without counts.

    The ends are aligned to the step, outwards; days begin at midnight UTC. Without a step it is 5 minutes, an hour or a
    day, as fits the time. Raises InvalidInput with all that is wrong.
    """
    end = now if until is None else min(until, now)
    begin = end - DAY if since is None else since
    size = _default_step(begin, end, now) if step is None else step
    wrong = [*_wrong_times(begin, end, now), *_wrong_step(size)]
    if not wrong:
        wrong += _wrong_series(begin, end, size, now)
    if wrong:
        raise InvalidInput(wrong)
    first, last = begin - begin % size, end + -end % size
    return Series(step=size, until=last, steps=range(first, last, size))


def _default_step(begin: int, end: int, now: int) -> int:
    """Return the shortest step that makes few points, and for which there are buckets."""
    shortest = 0 if begin >= roll_up_before(now) else 1
    for size in DEFAULT_STEPS[shortest:-1]:
        if end - begin <= DEFAULT_POINTS * size:
            return size
    return DEFAULT_STEPS[-1]


def _wrong_times(begin: int, end: int, now: int) -> Iterator[FieldError]:
    if begin >= end:
        yield FieldError("from", "invalid", "expected a time in the past, and before to")
    elif begin < now - KEPT_FOR:
        yield FieldError("from", "invalid", "statistics are kept for 90 days: expected a time within them")


def _wrong_step(size: int) -> Iterator[FieldError]:
    if not SMALLEST_STEP <= size <= KEPT_FOR or size % (SMALLEST_STEP if size < HOUR else HOUR):
        yield FieldError(
            "step", "invalid", "expected a multiple of 5m below an hour, or of 1h up to 90d, such as 15m, 1h or 1d"
        )


def _wrong_series(begin: int, end: int, size: int, now: int) -> Iterator[FieldError]:
    if size < HOUR and begin < roll_up_before(now):
        message = "steps below 1h reach back 24 hours: expected a step of 1h or more, or a later from"
        yield FieldError("step", "invalid", message)
    points = -(-(end + -end % size - (begin - begin % size)) // size)
    if points > MAX_POINTS:
        message = f"that would be {points} points, and there may be {MAX_POINTS}: expected a longer step"
        yield FieldError("step", "invalid", message)


def all_keys(now: int, oldest_fine: int | None) -> list[tuple[int, int]]:
    """Return span and start of all buckets that may be left."""
    return [key[:2] for key in bucket_keys((now - KEPT_FOR - DAY,), now + DAY, oldest_fine)]


def sources(webhook_id: str | None) -> tuple[str, str]:
    """Return the first and the last source of a webhook's counts, or of those of the instance."""
    return ALL_NODES if webhook_id is None else (webhook_id, webhook_id)


def by_step(found: Iterable[Sequence[Any]]) -> dict[int, tuple[AttemptCount, ...]]:
    """Return the counts of each step from rows of the step and its counts."""
    counts: defaultdict[int, list[AttemptCount]] = defaultdict(list)
    for step, *count in found:
        counts[step].append(AttemptCount(*count))
    return {step: tuple(items) for step, items in counts.items()}


def _keys(span: int, since: int, steps: Sequence[int], until: int) -> Iterator[BucketKey]:
    size = span * MINUTE
    for start in range(-(-since // size) * size, until, size):
        yield BucketKey(span, start, steps[bisect_right(steps, start) - 1])


def summarize(start: int, counts: Iterable[AttemptCount]) -> Summary:
    """Return counts as rates and percentiles."""
    outcomes = dict.fromkeys(OutcomeClass, 0)
    latencies: Counter[int] = Counter()
    exhausted, last_success = 0, None
    for count in counts:
        outcome = OutcomeClass(count.outcome)
        outcomes[outcome] += count.attempts
        exhausted += count.exhausted
        if count.latency != NO_LATENCY:
            latencies[count.latency] += count.attempts
        if outcome is OutcomeClass.DELIVERED:
            last_success = max(count.last_at, last_success or 0)
    p50, p95, p99 = (percentile(latencies, percent) for percent in (50, 95, 99))
    return Summary(
        start=start,
        outcomes=outcomes,
        exhausted=exhausted,
        p50=p50,
        p95=p95,
        p99=p99,
        last_success_at=last_success,
    )


def percentile(latencies: Counter[int], percent: int) -> int | None:
    """Return the duration that this percentage of attempts did not exceed, in milliseconds; None without attempts.

    It is the middle of the class that has it (the geometric mean of its ends), so wrong by at most 12.5 %.
    """
    total = latencies.total()
    rank = ceil(total * percent / 100)
    reached = 0
    for bound in sorted(latencies):
        reached += latencies[bound]
        if reached >= rank:
            return _middle(bound)
    return None


def _middle(bound: int) -> int:
    place = bisect_left(_BOUNDS, bound)
    lowest = _BOUNDS[place - 1] + 1 if place else 1
    return round(sqrt(lowest * bound))
