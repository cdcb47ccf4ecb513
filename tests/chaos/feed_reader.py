"""Read the feed while nodes die: by whichever node responds, from the last cursor on."""

import asyncio
import itertools
from collections.abc import Sequence
from typing import Final

import httpx

from chaos.publisher import ORGANIZATION, operator_client

WAIT_SECONDS: Final = 2


class FeedReader:
    """Record the ids of the orders that were read. ``repeated`` counts events that came again behind their cursor."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = [f"{url}/v1/organizations/{ORGANIZATION}/feed" for url in urls]
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.order_ids: set[str] = set()
        self.repeated = 0

    def start(self) -> None:
        """Read until ``stop``."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End the reads."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def wait_for_orders(self, order_ids: set[str], limit_seconds: float) -> set[str]:
        """Wait until these were read, at most so long; return those that were not."""
        try:
            async with asyncio.timeout(limit_seconds):
                while not order_ids <= self.order_ids:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return order_ids - self.order_ids
        return set()

    async def _run(self) -> None:
        """Read on from the cursor of the last page that arrived: no event may come twice then."""
        after = ""
        event_ids: set[str] = set()
        async with operator_client() as client:
            for url in itertools.cycle(self._urls):
                query = {"limit": "500", "wait": str(WAIT_SECONDS)} | ({"after": after} if after else {})
                try:
                    response = await client.get(url, params=query)
                except httpx.HTTPError:
                    await self._pause()
                    continue
                if not response.is_success:
                    await self._pause()
                    continue
                page = response.json()
                for event in page["data"]:
                    self.repeated += event["id"] in event_ids
                    event_ids.add(event["id"])
                    self.order_ids.add(event["data"]["id"])
                after = page["cursor"]
                self._changed.set()

    async def _pause(self) -> None:
        """Give a node that has just died a moment to come back."""
        passed = asyncio.Event()
        asyncio.get_running_loop().call_later(0.05, passed.set)
        await passed.wait()
