"""Alternate short loads of packhook and of the bare client, round for round, on nodes that keep running.

On a shared machine a neighbour slows whatever runs at that moment. The two are therefore compared within a round, not
between one that ran long after the other.
"""

from typing import Final

from benchmarks.plan import Plan
from benchmarks.reference import measure_baseline
from benchmarks.results import Round
from benchmarks.scenario import Environment, Progress, prepared

EVENTS_DIVISOR: Final = 4  # a round has a quarter of the plan's events: enough to outweigh its costlier start


async def measure_rounds(environment: Environment, plan: Plan, rounds: int, progress: Progress) -> list[Round]:
    """Measure so many rounds; which of the two goes first alternates."""
    short = plan.replace(plan.events // EVENTS_DIVISOR)
    measured: list[Round] = []
    async with prepared(environment, short, lambda _: None) as load:
        for number in range(rounds):
            baseline = await measure_baseline(environment, short, "libcurl") if number % 2 else None
            result = await load("round", short)
            measured.append(Round.of(result, baseline or await measure_baseline(environment, short, "libcurl")))
            progress(len(measured))
    return measured
