"""The parts of one run, one after the other, each on a fresh database.

::

    wrk            what the machine does without packhook
    libcurl        the same from the bare library, and from packhook's own sender alone
    load           as fast as it goes, or at the rate that was asked for
    in turn        short loads and the bare library, round for round: how they stand beside each other
    sqlite, 1 node the same load there, beside that of several nodes on PostgreSQL
    half           open-loop at half of that: latency where nothing queues
    idle           one event at a time
    profile        a shorter load on a node with a sampler: where its CPU goes
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Literal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from packhook.cli.bench.bare import WRK, has_wrk, measure_floor, measure_wrk
from packhook.cli.bench.database import Files
from packhook.cli.bench.figures import Bare, Figures, Report, Split, Turn
from packhook.cli.bench.machine import machine
from packhook.cli.bench.measure import Ground, measure
from packhook.cli.bench.node import LAYERS, Spent
from packhook.cli.bench.plan import Plan
from packhook.cli.bench.turns import measure_turns

FLOOR, BESIDE, HALF, IDLE, PROFILE = "floor", "beside", "half", "idle", "profile"
IDLE_RATE: Final = 50.0
IDLE_EVENTS: Final = 300
HALF_SECONDS: Final = 8
BARE_SENDERS: Final[tuple[Literal["libcurl", "sender"], ...]] = ("libcurl", "sender")
PROFILE_PART: Final = 4
PROFILE_EVENTS: Final = 2_000
_COLUMNS: Final = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())

Step = Callable[[int], None]


async def measure_all(ground: Ground, plan: Plan, parts: set[str], rounds: int) -> Report:
    """Run them; progress goes to standard error."""
    with progress_bars(Console(stderr=True)) as progress:
        floors, without = await _bare(ground, plan, progress) if FLOOR in parts else ([], [])
        load = await _scenario(ground, "load", plan, progress)
        scenarios = [load]
        turns = await _turns(ground, plan, rounds, progress) if rounds and FLOOR in parts and not plan.rate else []
        if BESIDE in parts:
            scenarios += await _beside(ground, plan, progress)
        if HALF in parts:
            half = load.delivered / plan.fan_out / 2
            events = min(plan.events, int(half * HALF_SECONDS) + plan.batch)
            scenarios.append(await _scenario(ground, HALF, plan.of(events, rate=half), progress))
        if IDLE in parts:
            idle = plan.of(min(IDLE_EVENTS, plan.events), rate=IDLE_RATE, alone=True, batch=1, connections=1)
            scenarios.append(await _scenario(ground, IDLE, idle, progress))
        split = await _profile(ground, plan, load, progress) if PROFILE in parts else None
    return Report(machine=machine(), floors=floors, scenarios=scenarios, turns=turns, split=split, without=without)


def progress_bars(console: Console) -> Progress:
    """What shows how far it is; twice a second, because showing costs CPU too."""
    return Progress(*_COLUMNS, console=console, refresh_per_second=2)


async def _bare(ground: Ground, plan: Plan, progress: Progress) -> tuple[list[Bare], list[str]]:
    floors, without = [], []
    if has_wrk():
        with step_of(progress, WRK, 1):
            floors.append(await measure_wrk(ground, plan))
    else:
        without.append(f"{WRK}: not installed, so the machine's limit with compiled code is not known")
    for by in BARE_SENDERS:
        with step_of(progress, f"bare {by}", plan.events):
            floors.append(await measure_floor(ground, plan, by))
    return floors, without


async def _scenario(ground: Ground, name: str, plan: Plan, progress: Progress) -> Figures:
    with step_of(progress, name, plan.deliveries) as step:
        figures, _ = await measure(ground, name, plan, step)
    return figures


async def _turns(ground: Ground, plan: Plan, rounds: int, progress: Progress) -> list[Turn]:
    with step_of(progress, "in turn", rounds) as step:
        return await measure_turns(ground, plan, rounds, step)


async def _beside(ground: Ground, plan: Plan, progress: Progress) -> list[Figures]:
    """The same load by one node: on a SQLite file, and on the database where there are several."""
    alone = plan.of(plan.events, processes=1)
    one = [await _scenario(ground._replace(databases=Files()), "sqlite", alone, progress)]
    if plan.processes > 1:
        one.append(await _scenario(ground, "1 node", alone, progress))
    return one


async def _profile(ground: Ground, plan: Plan, load: Figures, progress: Progress) -> Split:
    shorter = plan.of(min(plan.events, max(PROFILE_EVENTS, plan.events // PROFILE_PART)))
    with step_of(progress, PROFILE, shorter.deliveries) as step:
        figures, spent = await measure(ground, PROFILE, shorter, step, sampled=True)
    return split(load, figures, spent)


def split(load: Figures, profile: Figures, spent: list[Spent]) -> Split:
    """The profile's shares of the cost that was measured without it; 0 for a layer that it did not see."""
    seconds = {layer: sum(each.seconds.get(layer, 0.0) for each in spent) for layer in LAYERS}
    total = sum(seconds.values()) or 1.0
    arrived = profile.loss.expected - profile.loss.lost
    statements = sum(each.statements for each in spent)
    return Split(
        layers={layer: load.cost["node"] * share / total for layer, share in seconds.items()},
        sampler=profile.cost["node"] - load.cost["node"],
        statements=statements / max(1, arrived) * 100 if "database" in load.cost else None,
    )


@contextmanager
def step_of(progress: Progress, name: str, total: int) -> Iterator[Step]:
    """One part's bar: what is yielded hears how much is done."""
    task = progress.add_task(name, total=total)
    yield lambda done: progress.update(task, completed=done)
    progress.update(task, completed=total)
