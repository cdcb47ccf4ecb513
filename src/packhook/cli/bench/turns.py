"""Load and floor in turn: short loads of both, round for round, on nodes that stand.

On a shared machine a neighbour that comes and goes slows whatever runs at that moment. So the ratio of the two is told
from rounds, in which they stand beside each other, and not from one that ran long after the other.
"""

from typing import Final

from packhook.cli.bench.bare import measure_floor
from packhook.cli.bench.figures import Turn
from packhook.cli.bench.measure import Ground, Progress, stage
from packhook.cli.bench.plan import Plan

PART: Final = 4  # of the plan's events in each: long enough for its first moments, which cost more, not to count


async def measure_turns(ground: Ground, plan: Plan, rounds: int, progress: Progress) -> list[Turn]:
    """So many rounds; who is first changes from one to the next."""
    each = plan.of(plan.events // PART)
    turns: list[Turn] = []
    async with stage(ground, each, lambda _: None) as load:
        for number in range(rounds):
            floor = await measure_floor(ground, each, "libcurl") if number % 2 else None
            figures = await load("turn", each)
            turns.append(Turn.of(figures, floor or await measure_floor(ground, each, "libcurl")))
            progress(len(turns))
    return turns
