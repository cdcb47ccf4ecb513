"""Measure what the index of subjects costs as it grows: ``python -m benchmarks.subjects [--minutes N]``, on SQLite.

Events with a random subject and three random references are stored, as many as fit into the time: the worst case, for
each entry of an index is on a page of its own. At each size, batches with and without these texts are stored in turn.
Prints the CPU of one event for both, and their ratio.
"""

import argparse
import asyncio
import secrets
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Final

from msgspec import structs

from benchmarks.filters import CLOCK, event, organization
from packhook.core.model import Event, PublishRequest
from packhook.settings import Settings
from packhook.store.base import Store
from packhook.store.open import open_store

SIZES: Final = (10_000, 50_000, 100_000, 200_000, 400_000, 800_000, 1_600_000, 3_200_000)
BATCH: Final = 50
ROUND: Final = 2_000
ROUNDS: Final = 5


def indexed(organization_id: str) -> Event:
    """Return an event with random texts."""
    subject, one, two, three = (secrets.token_hex(8) for _ in range(4))
    return structs.replace(
        event(organization_id, 0), subject=subject, reference_1=one, reference_2=two, reference_3=three
    )


def plain(organization_id: str) -> Event:
    """Return an event without any."""
    return structs.replace(event(organization_id, 0), subject="")


async def store_events(store: Store, events: list[Event]) -> float:
    """Store events, a few calls at once; return the CPU in microseconds for each."""
    began = time.process_time()
    for start in range(0, len(events), 4 * BATCH):
        calls = [events[at : at + BATCH] for at in range(start, min(start + 4 * BATCH, len(events)), BATCH)]
        await asyncio.gather(
            *(
                store.publish(PublishRequest(organization_id=call[0].organization_id, events=tuple(call)))
                for call in calls
            )
        )
    return (time.process_time() - began) / len(events) * 1e6


async def main(minutes: float) -> None:
    """Measure at each size, until the time is over."""
    until = time.monotonic() + 60 * minutes
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "packhook.db"
        store = open_store(Settings(database=f"sqlite:///{file}"), CLOCK)
        await store.open()
        id_ = await organization(store, 1, lambda _: "")
        stored = 0
        for size in SIZES:
            while stored < size:
                if time.monotonic() > until:
                    await store.close()
                    return
                await store_events(store, [indexed(id_) for _ in range(ROUND)])
                stored += ROUND
            found = [
                [await store_events(store, [make(id_) for _ in range(ROUND)]) for make in (plain, indexed)]
                for _ in range(ROUNDS)
            ]
            stored += ROUND * ROUNDS
            without, with_ = (median(column) for column in zip(*found, strict=True))
            ratio = median(after / before for before, after in found)
            print(  # noqa: T201 a command line
                f"{size:9,} events, {file.stat().st_size >> 20:5} MiB: {with_:6.1f} µs with, {without:6.1f} without, "
                f"ratio {ratio:.2f}",
                flush=True,
            )
        await store.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=5.0)
    asyncio.run(main(**vars(parser.parse_args())))
