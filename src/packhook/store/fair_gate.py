"""Let pieces of work pass a few at a time, organizations in turn: the many of one do not stand before another's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from packhook.core.fairness import WeightedFairQueue


class FairGate:
    """Admit at most ``limit`` pieces of work at once; what waits is admitted for one organization after another."""

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._waiting: WeightedFairQueue[asyncio.Future[None]] = WeightedFairQueue()

    @asynccontextmanager
    async def admit(self, organization_id: str) -> AsyncIterator[None]:
        """Wait until it is this organization's turn; the next is admitted when the block is left."""
        await self._enter(organization_id)
        try:
            yield
        finally:
            self._leave()

    async def _enter(self, organization_id: str) -> None:
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(organization_id, turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it was admitted at the same moment
                self._leave()
            raise

    def _leave(self) -> None:
        while self._waiting:
            turn = self._waiting.pop()
            if not turn.done():  # else its caller was cancelled
                turn.set_result(None)
                return
        self._free += 1
