"""What an event costs as work grows: with more webhooks, more backlog, more history. Flat is the goal.

Each step has nodes and a database of its own, the same load, and only one thing that is larger. Those of one axis stand
by side and take their loads in turn, round for round: who slows the machine for a while slows them all.
"""

from contextlib import AsyncExitStack
from typing import Final

from rich.console import Console
from rich.progress import Progress

from packhook.cli.bench.figures import Figures, Growth, Step
from packhook.cli.bench.machine import machine
from packhook.cli.bench.measure import Ground, Load, stage
from packhook.cli.bench.parts import progress_bars, step_of
from packhook.cli.bench.plan import Plan
from packhook.cli.bench.turns import PART

WEBHOOKS: Final = (1, 10, 100, 10_000)
BACKLOG: Final = (0, 100_000, 1_000_000)
HISTORY: Final = (0, 1_000_000)
FAR: Final = 10_000_000

Wanted = list[tuple[int, Plan]]
"""The steps of one axis: how much, and the load beside it."""


async def measure_growth(ground: Ground, plan: Plan, rounds: int, most: int, *, far: bool) -> Growth:
    """All three axes, no step beyond ``most`` (0: all); ``far``: with ten million rows of history too."""
    each = plan.of(plan.events // PART)
    history = (*HISTORY, FAR) if far else HISTORY
    axes: dict[str, Wanted] = {
        "webhooks": [(amount, each.of(each.events, webhooks=max(amount, plan.fan_out))) for amount in WEBHOOKS],
        "backlog": [(amount, each.of(each.events, backlog=amount)) for amount in BACKLOG],
        "history": [(amount, each.of(each.events, history=amount)) for amount in history],
    }
    steps: list[Step] = []
    with progress_bars(Console(stderr=True)) as progress:
        for axis, all_steps in axes.items():
            wanted = [step for step in all_steps if not most or step[0] <= most]
            steps += await _measure_axis(ground, axis, wanted, max(1, rounds), progress)
    return Growth(machine=machine(), steps=steps)


async def _measure_axis(ground: Ground, axis: str, wanted: Wanted, rounds: int, progress: Progress) -> list[Step]:
    async with AsyncExitStack() as stack:
        loads: list[Load] = []
        for amount, plan in wanted:
            with step_of(progress, f"{amount:,} {axis}, set up", max(plan.history, plan.backlog, 1)) as step:
                loads.append(await stack.enter_async_context(stage(ground, plan, step)))
        figures: list[list[Figures]] = [[] for _ in wanted]
        with step_of(progress, f"{axis}, in turn", rounds) as step:
            for number in range(rounds):
                for place in _order(len(wanted), number):
                    amount, plan = wanted[place]
                    figures[place].append(await loads[place](f"{amount:,} {axis}", plan))
                step(number + 1)
    return [Step(axis=axis, amount=amount, rounds=each) for (amount, _), each in zip(wanted, figures, strict=True)]


def _order(count: int, number: int) -> list[int]:
    """Who is first changes from one round to the next."""
    first = number % count
    return [*range(first, count), *range(first)]
