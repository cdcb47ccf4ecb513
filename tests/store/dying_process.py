"""A process that dies by ``kill -9`` while it makes the deliveries of a large call.

``python dying_process.py URL SLICES EVENTS``: says that a call of so many events was answered, with how many deliveries
each; then dies when so many slices of these are committed.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence

from packhook.core.model import LeasedDelivery
from packhook.settings import Settings
from packhook.store.open import open_store
from packhook.testing.clock import ManualClock
from store.values import FakeDispatcher, event, publication


class _DyingDispatcher(FakeDispatcher):
    """Count what is enqueued, which follows the commit of each slice."""

    def __init__(self, slices: int) -> None:
        super().__init__(slots=1_000_000)
        self._left = slices

    def enqueue(self, leased: Sequence[LeasedDelivery]) -> None:
        """End this process with the last one."""
        self._left -= bool(leased)
        if not self._left:
            os.kill(os.getpid(), signal.SIGKILL)


async def _live(url: str, slices: int, events: int) -> None:
    store = open_store(Settings(database=url), ManualClock())
    await store.open()
    store.attach(_DyingDispatcher(slices))
    receipts = await store.publish(publication(*(event() for _ in range(events))))
    print(*(receipt.deliveries for receipt in receipts), flush=True)  # noqa: T201 its parent reads this
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_live(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
