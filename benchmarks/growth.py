"""Measure what an event costs with more webhooks, a larger backlog, a longer history. The goal: the cost stays flat.

Each step has its own nodes and database, the same load, and one amount that is larger. The steps of one axis run at the
same time and take their loads in alternation, so that whatever slows the machine for a while slows them all.
"""

from contextlib import AsyncExitStack
from typing import Final

from rich.console import Console
from rich.progress import Progress

from benchmarks.machine import machine
from benchmarks.plan import Plan
from benchmarks.results import Growth, GrowthStep, Result
from benchmarks.rounds import EVENTS_DIVISOR
from benchmarks.scenario import Environment, Load, prepared
from benchmarks.suite import progress_bars, track

WEBHOOKS: Final = (1, 10, 100, 10_000)
BACKLOG: Final = (0, 100_000, 1_000_000)
HISTORY: Final = (0, 1_000_000)
LARGE_HISTORY: Final = 10_000_000

Steps = list[tuple[int, Plan]]
"""The steps of one axis: the amount, and the plan with it."""


async def measure_growth(
    environment: Environment, plan: Plan, rounds: int, limit: int, *, large_history: bool
) -> Growth:
    """Measure all three axes, without steps above ``limit`` (0: all). ``large_history``: also 10,000,000 events."""
    short = plan.replace(plan.events // EVENTS_DIVISOR)
    history = (*HISTORY, LARGE_HISTORY) if large_history else HISTORY
    axes: dict[str, Steps] = {
        "webhooks": [(amount, short.replace(short.events, webhooks=max(amount, plan.fan_out))) for amount in WEBHOOKS],
        "backlog": [(amount, short.replace(short.events, backlog=amount)) for amount in BACKLOG],
        "history": [(amount, short.replace(short.events, history=amount)) for amount in history],
    }
    measured: list[GrowthStep] = []
    with progress_bars(Console(stderr=True)) as progress:
        for axis, all_steps in axes.items():
            steps = [step for step in all_steps if not limit or step[0] <= limit]
            measured += await _measure_axis(environment, axis, steps, max(1, rounds), progress)
    return Growth(machine=machine(), steps=measured)


async def _measure_axis(
    environment: Environment, axis: str, steps: Steps, rounds: int, progress: Progress
) -> list[GrowthStep]:
    async with AsyncExitStack() as stack:
        loads: list[Load] = []
        for amount, plan in steps:
            with track(progress, f"{amount:,} {axis}, set up", max(plan.history, plan.backlog, 1)) as advance:
                loads.append(await stack.enter_async_context(prepared(environment, plan, advance)))
        results: list[list[Result]] = [[] for _ in steps]
        with track(progress, f"{axis}, rounds", rounds) as advance:
            for number in range(rounds):
                for index in _order(len(steps), number):
                    amount, plan = steps[index]
                    results[index].append(await loads[index](f"{amount:,} {axis}", plan))
                advance(number + 1)
    return [
        GrowthStep(axis=axis, amount=amount, rounds=of_step)
        for (amount, _), of_step in zip(steps, results, strict=True)
    ]


def _order(count: int, number: int) -> list[int]:
    """Return the order of the steps in a round: another one is first each time."""
    first = number % count
    return [*range(first, count), *range(first)]
