"""Measure the parts of one report, one after the other, each on a fresh database.

::

    wrk            the limit of the machine without packhook
    baseline       the same requests from bare libcurl, and from packhook's client alone
    load           as fast as possible, or at the requested rate
    rounds         short loads and bare libcurl in alternation: how they compare
    sqlite, 1 node the same load there, to compare with several nodes on PostgreSQL
    half load      open-loop at half of that rate: the latency without queues
    idle           one event at a time
    profile        a shorter load on a node with a profiler: which layer uses the CPU
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.baseline import ClientName
from benchmarks.database import SqliteFiles
from benchmarks.machine import machine
from benchmarks.plan import Plan
from benchmarks.profiled_node import LAYERS, LayerCpu
from benchmarks.reference import WRK, has_wrk, measure_baseline, measure_wrk
from benchmarks.results import BaselineResult, CpuProfile, Report, Result, Round
from benchmarks.rounds import measure_rounds
from benchmarks.scenario import Environment, measure

BASELINE, COMPARE, HALF_LOAD, IDLE, PROFILE = "baseline", "compare", "half load", "idle", "profile"
IDLE_RATE: Final = 50.0
IDLE_EVENTS: Final = 300
HALF_LOAD_SECONDS: Final = 8
BASELINE_CLIENTS: Final[tuple[ClientName, ...]] = ("libcurl", "packhook")
PROFILE_DIVISOR: Final = 4
PROFILE_EVENTS: Final = 2_000
_COLUMNS: Final = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())

Advance = Callable[[int], None]


async def measure_all(environment: Environment, plan: Plan, parts: set[str], rounds: int) -> Report:
    """Measure these parts; progress goes to standard error."""
    with progress_bars(Console(stderr=True)) as progress:
        baselines, skipped = await _baselines(environment, plan, progress) if BASELINE in parts else ([], [])
        load = await _scenario(environment, "load", plan, progress)
        scenarios = [load]
        compared = rounds and BASELINE in parts and not plan.rate
        measured = await _rounds(environment, plan, rounds, progress) if compared else []
        if COMPARE in parts:
            scenarios += await _single_node(environment, plan, progress)
        if HALF_LOAD in parts:
            rate = load.delivered / plan.fan_out / 2
            half = plan.replace(min(plan.events, int(rate * HALF_LOAD_SECONDS) + plan.batch), rate=rate)
            scenarios.append(await _scenario(environment, HALF_LOAD, half, progress))
        if IDLE in parts:
            events = min(IDLE_EVENTS, plan.events)
            idle = plan.replace(events, rate=IDLE_RATE, sequential=True, batch=1, connections=1)
            scenarios.append(await _scenario(environment, IDLE, idle, progress))
        profile = await _profile(environment, plan, load, progress) if PROFILE in parts else None
    return Report(
        machine=machine(), baselines=baselines, scenarios=scenarios, rounds=measured, profile=profile, skipped=skipped
    )


def progress_bars(console: Console) -> Progress:
    """Return a progress display that refreshes twice a second, because drawing costs CPU too."""
    return Progress(*_COLUMNS, console=console, refresh_per_second=2)


async def _baselines(
    environment: Environment, plan: Plan, progress: Progress
) -> tuple[list[BaselineResult], list[str]]:
    results, skipped = [], []
    if has_wrk():
        with track(progress, WRK, 1):
            results.append(await measure_wrk(environment, plan))
    else:
        skipped.append(f"{WRK}: not installed, so the limit of this machine is unknown")
    for client in BASELINE_CLIENTS:
        with track(progress, f"bare {client}", plan.events):
            results.append(await measure_baseline(environment, plan, client))
    return results, skipped


async def _scenario(environment: Environment, name: str, plan: Plan, progress: Progress) -> Result:
    with track(progress, name, plan.deliveries) as advance:
        result, _ = await measure(environment, name, plan, advance)
    return result


async def _rounds(environment: Environment, plan: Plan, rounds: int, progress: Progress) -> list[Round]:
    with track(progress, "rounds", rounds) as advance:
        return await measure_rounds(environment, plan, rounds, advance)


async def _single_node(environment: Environment, plan: Plan, progress: Progress) -> list[Result]:
    """Measure the same load on one node: with a SQLite file, and with PostgreSQL if the plan has several nodes."""
    single = plan.replace(plan.events, processes=1)
    results = [await _scenario(environment._replace(databases=SqliteFiles()), "sqlite", single, progress)]
    if plan.processes > 1:
        results.append(await _scenario(environment, "1 node", single, progress))
    return results


async def _profile(environment: Environment, plan: Plan, load: Result, progress: Progress) -> CpuProfile:
    shorter = plan.replace(min(plan.events, max(PROFILE_EVENTS, plan.events // PROFILE_DIVISOR)))
    with track(progress, PROFILE, shorter.deliveries) as advance:
        result, profiles = await measure(environment, PROFILE, shorter, advance, profiled=True)
    return cpu_profile(load, result, profiles)


def cpu_profile(load: Result, profiled: Result, profiles: list[LayerCpu]) -> CpuProfile:
    """Apply the shares of the profile to the cost that was measured without it; an absent layer has 0."""
    seconds = {layer: sum(profile.seconds.get(layer, 0.0) for profile in profiles) for layer in LAYERS}
    total = sum(seconds.values()) or 1.0
    arrived = profiled.loss.expected - profiled.loss.lost
    statements = sum(profile.statements for profile in profiles)
    return CpuProfile(
        layers={layer: load.cost["node"] * share / total for layer, share in seconds.items()},
        overhead=profiled.cost["node"] - load.cost["node"],
        statements=statements / max(1, arrived) * 100 if "database" in load.cost else None,
    )


@contextmanager
def track(progress: Progress, name: str, total: int) -> Iterator[Advance]:
    """Show a progress bar for one part; call the yielded function with the amount done."""
    task = progress.add_task(name, total=total)
    yield lambda done: progress.update(task, completed=done)
    progress.update(task, completed=total)
