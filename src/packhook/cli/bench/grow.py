"""What an event costs as work grows: with more webhooks, more backlog, more history. Flat is the goal.

Each step is a scenario of its own on a fresh database: the same load, only one thing is larger.
"""

from typing import Final

from rich.console import Console

from packhook.cli.bench.figures import Growth, Step
from packhook.cli.bench.machine import machine
from packhook.cli.bench.measure import Ground, measure
from packhook.cli.bench.parts import progress_bars, step_of
from packhook.cli.bench.plan import Plan

WEBHOOKS: Final = (1, 10, 100, 10_000)
BACKLOG: Final = (0, 100_000, 1_000_000)
HISTORY: Final = (0, 1_000_000)
FAR: Final = 10_000_000


async def measure_growth(ground: Ground, plan: Plan, most: int, *, far: bool) -> Growth:
    """All three axes, no step beyond ``most`` (0: all); ``far``: with ten million rows of history too."""
    history = (*HISTORY, FAR) if far else HISTORY
    wanted = [
        *(("webhooks", amount, plan.of(plan.events, webhooks=max(amount, plan.fan_out))) for amount in WEBHOOKS),
        *(("backlog", amount, plan.of(plan.events, backlog=amount)) for amount in BACKLOG),
        *(("history", amount, plan.of(plan.events, history=amount)) for amount in history),
    ]
    steps = []
    with progress_bars(Console(stderr=True)) as progress:
        for axis, amount, each in wanted:
            if most and amount > most:
                continue
            with step_of(progress, f"{amount:,} {axis}", each.deliveries) as step:
                figures, _ = await measure(ground, f"{amount:,} {axis}", each, step)
            steps.append(Step(axis=axis, amount=amount, figures=figures))
    return Growth(machine=machine(), steps=steps)
