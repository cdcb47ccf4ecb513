"""The command: deliveries come and go, and a line is said for each stretch.

::

    dead backlog ─▶ (publish ─▶ claim ─▶ settle, some to be tried again) ─▶ a line for each stretch

It asks the store directly: nothing is sent, and the time is its own, so that a day's retries come within a minute.
"""

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Annotated, Final

import typer

from packhook.cli.churn.buffers import Buffers
from packhook.cli.churn.life import BATCH, Life
from packhook.cli.exits import Exit, fail
from packhook.cli.tables import say
from packhook.core.clock import SystemClock
from packhook.settings import Settings
from packhook.store.open import open_store, shown

A_BATCH_TAKES: Final = 100


def churn(
    deliveries: Annotated[int, typer.Option(min=BATCH, help="How many come and go.")] = 500_000,
    stretch: Annotated[int, typer.Option(min=BATCH, help="Say how it goes after each so many.")] = 50_000,
    webhooks: Annotated[int, typer.Option(min=1, help="How many they are for.")] = 50,
    dead: Annotated[int, typer.Option(min=0, help="How many wait meanwhile for a webhook that is disabled.")] = 0,
    database: Annotated[str, typer.Option(help="An empty database; absent: a new SQLite file.")] = "",
) -> None:
    """Publish, claim and settle many deliveries, and say what a claim costs as they come and go.

    Exit 0 only if the last stretch's claims take no more than twice as long as the first one's.

    Example: packhook churn --database postgresql://localhost/churn
    """
    with TemporaryDirectory(prefix="packhook-churn-") as folder:
        url = database or f"sqlite:///{Path(folder) / 'packhook.db'}"
        say(f"{deliveries:,} deliveries for {webhooks:,} webhooks on {shown(url)}; {dead:,} wait for a dead one")
        stretches = asyncio.run(_churn(url, deliveries, stretch, webhooks, dead))
    first, last = stretches[0].typical, stretches[-1].typical
    if last > 2 * first:
        fail(f"claiming became slower: {first:.2f} ms at first, {last:.2f} ms in the end", Exit.FAILED)
    say(f"claiming stays as fast as it was: {first:.2f} ms at first, {last:.2f} ms in the end")


@dataclass(slots=True)
class Stretch:
    """So many deliveries, and what claims took meanwhile, in milliseconds."""

    claims: list[float] = field(default_factory=list)
    claimed: int = 0

    @property
    def typical(self) -> float:
        """The median."""
        return median(self.claims)

    def tell(self, done: int, buffers: str) -> None:
        """One line."""
        slow = quantiles(self.claims, n=100)[98] if len(self.claims) > 1 else self.claims[0]
        say(f"{done:>9,}  a claim of {BATCH}: median {self.typical:6.2f} ms, p99 {slow:6.2f} ms{buffers}")


async def _churn(url: str, deliveries: int, stretch: int, webhooks: int, dead: int) -> list[Stretch]:
    clock = SystemClock()
    store = open_store(Settings(database=url), clock)
    await store.open()
    try:
        life = Life(store, clock.now())
        await life.begin(webhooks, dead)
        async with Buffers(url) as buffers:
            return await _run(life, buffers, deliveries, stretch, webhooks)
    finally:
        await store.close()


async def _run(life: Life, buffers: Buffers, deliveries: int, stretch: int, webhooks: int) -> list[Stretch]:
    stretches = [Stretch()]
    done = 0
    while True:
        await life.publish(max(1, BATCH // webhooks), "order.created")
        if done >= stretch * len(stretches) and stretches[-1].claims:
            stretches[-1].tell(done, await buffers.of_a_claim(life.now, BATCH))
            if done >= deliveries:
                return stretches
            stretches.append(Stretch())
        begun = time.perf_counter()
        leased = await life.claim()
        if len(leased) == BATCH:
            stretches[-1].claims.append((time.perf_counter() - begun) * 1000)
        done += await life.settle(leased)
        life.now += A_BATCH_TAKES
