"""What was promised beside what arrived: losses, latencies, the course of a run. Pure; both ledgers are given."""

from bisect import bisect_right
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from packhook.cli.bench.figures import Loss, Moment, latency, slope
from packhook.cli.bench.plan import Plan
from packhook.cli.bench.publish import Published
from packhook.cli.bench.sink import Noted

STRETCHES: Final = 60


class Arrival(Struct, frozen=True, gc=False):
    """One delivery that was promised: when it arrived (monotonic seconds), and how long after it was due."""

    at: float
    took: float


def settle(plan: Plan, published: Published, noted: Noted) -> tuple[list[Arrival], Loss]:
    """The deliveries that were promised and arrived, in the order of their arrival; and what is missing or wrong."""
    due = dict(zip(published.ids, published.due, strict=True))
    arrivals = []
    unknown = 0
    for where, at in noted.first.items():
        was_due = due.get(where.rpartition(b" ")[2].decode(errors="replace"))
        if was_due is None:
            unknown += 1
        else:
            arrivals.append(Arrival(at, at - was_due))
    arrivals.sort(key=lambda each: each.at)
    expected = len(published.ids) * plan.fan_out
    loss = Loss(
        expected=expected,
        lost=expected - len(arrivals),
        badly_signed=noted.badly_signed,
        wrong_bodies=noted.wrong_bodies,
        duplicates=noted.duplicates,
        unknown=unknown,
    )
    return arrivals, loss


def course(plan: Plan, published: Published, arrivals: list[Arrival]) -> list[Moment]:
    """The run in stretches of equal length, from the first that was due to the last arrival."""
    if not arrivals:
        return []
    began = min(published.due)
    length = max((arrivals[-1].at - began) / STRETCHES, 1e-9)
    accepted_at, arrived_at = sorted(published.accepted), [each.at for each in arrivals]
    moments = []
    accepted = arrived = 0
    for number in range(1, STRETCHES + 1):
        until = began + number * length if number < STRETCHES else float("inf")
        accepted_now, arrived_now = bisect_right(accepted_at, until), bisect_right(arrived_at, until)
        here = latency([each.took for each in arrivals[arrived:arrived_now]])
        moments.append(
            Moment(
                at=number * length,
                accepted=(accepted_now - accepted) / length,
                delivered=(arrived_now - arrived) / length,
                backlog=max(0, accepted_now * plan.fan_out - arrived_now),
                p50=here.p50,
                p99=here.p99,
            )
        )
        accepted, arrived = accepted_now, arrived_now
    return moments


def backlog_growth(moments: list[Moment]) -> float:
    """Deliveries a second, over the second half of the time in which events were accepted."""
    publishing = [(each.at, float(each.backlog)) for each in moments if each.accepted]
    return slope(publishing[len(publishing) // 2 :])


def memory_slope(readings: list[tuple[float, int]], arrivals: list[Arrival]) -> float:
    """Bytes for each delivery, over the second half of the readings (monotonic seconds, bytes)."""
    half = [(at, float(size)) for at, size in readings[len(readings) // 2 :]]
    arrived_at = [each.at for each in arrivals]
    return slope([(float(bisect_right(arrived_at, at)), size) for at, size in half])


def per_delivery(spent: Mapping[str, float], deliveries: int) -> dict[str, float]:
    """Seconds of CPU by name become microseconds for each delivery."""
    return {name: seconds / max(1, deliveries) * 1e6 for name, seconds in spent.items()}
