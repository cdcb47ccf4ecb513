"""Compare what was accepted with what was received: losses, latencies, the timeline of a run. Pure."""

from bisect import bisect_right
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from benchmarks.plan import Plan
from benchmarks.publishers import PublishLog
from benchmarks.receiver import ReceiptLog
from benchmarks.results import Interval, Loss, latency, slope

INTERVALS: Final = 60


class Arrival(Struct, frozen=True, gc=False):
    """Hold when an expected delivery arrived (monotonic seconds), and how long after its due time."""

    at: float
    latency: float


def reconcile(plan: Plan, published: PublishLog, received: ReceiptLog) -> tuple[list[Arrival], Loss]:
    """Return the expected deliveries that arrived, by time of arrival; and what is missing or wrong."""
    due = dict(zip(published.ids, published.due, strict=True))
    arrivals = []
    unknown = 0
    for delivery, at in received.first.items():
        was_due = due.get(delivery.rpartition(b" ")[2].decode(errors="replace"))
        if was_due is None:
            unknown += 1
        else:
            arrivals.append(Arrival(at, at - was_due))
    arrivals.sort(key=lambda arrival: arrival.at)
    expected = len(published.ids) * plan.fan_out
    loss = Loss(
        expected=expected,
        lost=expected - len(arrivals),
        badly_signed=received.badly_signed,
        wrong_bodies=received.wrong_bodies,
        duplicates=received.duplicates,
        unknown=unknown,
    )
    return arrivals, loss


def timeline(plan: Plan, published: PublishLog, arrivals: list[Arrival]) -> list[Interval]:
    """Divide the run into equal intervals, from the first due time to the last arrival."""
    if not arrivals:
        return []
    started = min(published.due)
    length = max((arrivals[-1].at - started) / INTERVALS, 1e-9)
    accepted_at, arrived_at = sorted(published.accepted), [arrival.at for arrival in arrivals]
    intervals = []
    accepted = arrived = 0
    for number in range(1, INTERVALS + 1):
        until = started + number * length if number < INTERVALS else float("inf")
        accepted_now, arrived_now = bisect_right(accepted_at, until), bisect_right(arrived_at, until)
        latencies = latency([arrival.latency for arrival in arrivals[arrived:arrived_now]])
        intervals.append(
            Interval(
                at=number * length,
                accepted=(accepted_now - accepted) / length,
                delivered=(arrived_now - arrived) / length,
                backlog=max(0, accepted_now * plan.fan_out - arrived_now),
                p50=latencies.p50,
                p99=latencies.p99,
            )
        )
        accepted, arrived = accepted_now, arrived_now
    return intervals


def backlog_growth(intervals: list[Interval]) -> float:
    """Return the growth in deliveries per second, over the second half of the time in which events were accepted."""
    publishing = [(interval.at, float(interval.backlog)) for interval in intervals if interval.accepted]
    return slope(publishing[len(publishing) // 2 :])


def memory_slope(readings: list[tuple[float, int]], arrivals: list[Arrival]) -> float:
    """Return bytes per delivery, over the second half of the readings (monotonic seconds, bytes)."""
    half = [(at, float(size)) for at, size in readings[len(readings) // 2 :]]
    arrived_at = [arrival.at for arrival in arrivals]
    return slope([(float(bisect_right(arrived_at, at)), size) for at, size in half])


def per_delivery(spent: Mapping[str, float], deliveries: int) -> dict[str, float]:
    """Convert seconds of CPU by name into microseconds per delivery."""
    return {name: seconds / max(1, deliveries) * 1e6 for name, seconds in spent.items()}
