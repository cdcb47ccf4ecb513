"""The command ``python -m benchmarks claims``: let deliveries come and go, and print what a claim costs.

::

    dead backlog ─▶ (publish ─▶ claim ─▶ record, some to be retried) ─▶ a line per interval

It calls the store directly: no HTTP request is sent, and the clock is simulated, so that a day's retries take a minute.
"""

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Annotated, Final

import typer

from benchmarks.claims.page_counter import PageCounter
from benchmarks.claims.workload import BATCH, Workload
from packhook.cli.exits import Exit, fail
from packhook.core.clock import SystemClock
from packhook.settings import Settings
from packhook.store.open import open_store, shown

BATCH_MILLISECONDS: Final = 100  # simulated time from one batch to the next


def claims(
    deliveries: Annotated[int, typer.Option(min=BATCH, help="Deliveries to publish and complete.")] = 500_000,
    interval: Annotated[int, typer.Option(min=BATCH, help="Deliveries between two lines of output.")] = 50_000,
    webhooks: Annotated[int, typer.Option(min=1, help="Webhooks that get them.")] = 50,
    dead: Annotated[int, typer.Option(min=0, help="Deliveries that wait for a disabled webhook meanwhile.")] = 0,
    database: Annotated[str, typer.Option(help="URL of an empty database; default: a new SQLite file.")] = "",
) -> None:
    """Publish, claim and record many deliveries, and print what a claim costs as they come and go.

    Exit 0 only if the claims of the last interval take at most twice as long as those of the first.

    Example: python -m benchmarks claims --database postgresql://localhost/claims
    """
    with TemporaryDirectory(prefix="packhook-claims-") as folder:
        url = database or f"sqlite:///{Path(folder) / 'packhook.db'}"
        typer.echo(f"{deliveries:,} deliveries for {webhooks:,} webhooks on {shown(url)}; {dead:,} for a disabled one")
        intervals = asyncio.run(_measure(url, deliveries, interval, webhooks, dead))
    first, last = intervals[0].median, intervals[-1].median
    if last > 2 * first:
        fail(f"claims became slower: {first:.2f} ms at first, {last:.2f} ms at the end", Exit.FAILED)
    typer.echo(f"claims stay fast: {first:.2f} ms at first, {last:.2f} ms at the end")


@dataclass(slots=True)
class Interval:
    """Collect the durations of claims in milliseconds."""

    durations: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Return the median duration."""
        return median(self.durations)

    def print(self, done: int, pages: str) -> None:
        """Print one line."""
        p99 = quantiles(self.durations, n=100)[98] if len(self.durations) > 1 else self.durations[0]
        typer.echo(f"{done:>9,}  a claim of {BATCH}: median {self.median:6.2f} ms, p99 {p99:6.2f} ms{pages}")


async def _measure(url: str, deliveries: int, interval: int, webhooks: int, dead: int) -> list[Interval]:
    clock = SystemClock()
    store = open_store(Settings(database=url), clock)
    await store.open()
    try:
        workload = Workload(store, clock.now())
        await workload.prepare(webhooks, dead)
        async with PageCounter(url) as pages:
            return await _run(workload, pages, deliveries, interval, webhooks)
    finally:
        await store.close()


async def _run(workload: Workload, pages: PageCounter, deliveries: int, interval: int, webhooks: int) -> list[Interval]:
    intervals = [Interval()]
    done = 0
    while True:
        await workload.publish(max(1, BATCH // webhooks), "order.created")
        if done >= interval * len(intervals) and intervals[-1].durations:
            intervals[-1].print(done, await pages.describe_claim(workload.now, BATCH))
            if done >= deliveries:
                return intervals
            intervals.append(Interval())
        started = time.perf_counter()
        leased = await workload.claim()
        if len(leased) == BATCH:
            intervals[-1].durations.append((time.perf_counter() - started) * 1000)
        done += await workload.record(leased)
        workload.now += BATCH_MILLISECONDS
