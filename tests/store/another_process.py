"""Another packhook process, for tests of who may open a database: ``python another_process.py URL``.

Opens the store, claims what is due, says so in one line, and lives until its input ends. Says the code of the error
where it may not open it.
"""

import asyncio
import sys

from packhook.core.errors import PackhookError
from packhook.settings import Settings
from packhook.store.base import ClaimRequest
from packhook.store.dispatcher import Capacity
from packhook.store.open import open_store
from packhook.testing.clock import START, ManualClock


async def _live(url: str) -> None:
    store = open_store(Settings(database=url), ManualClock())
    await store.open()
    capacity = Capacity(lease=1, lease_until=START + 86_400_000, slots=100, max_bytes=1 << 20, excluded=())
    claimed = await store.claim(ClaimRequest(now=START, capacity=capacity, per_lane=100))
    print("claimed", len(claimed.deliveries), flush=True)  # noqa: T201 its parent reads this
    await asyncio.to_thread(sys.stdin.read)
    await store.close()


if __name__ == "__main__":
    try:
        asyncio.run(_live(sys.argv[1]))
    except PackhookError as error:
        print(error.code, flush=True)  # noqa: T201 as above
