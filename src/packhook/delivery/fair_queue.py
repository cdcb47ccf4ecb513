"""Serve organizations in turn: the lanes that have something to send, and the work that begins in a turn of the loop.

A turn of the event loop serves everything that is ready. Without a bound, what one organization has ready at the same
moment is all in one turn, and everybody else waits for all of it. So a few pieces of work begin in each.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

from packhook.core.fairness import WeightedFairQueue

TURN_UNITS: Final = 12
"""How much begins in a turn. A unit is about 200 µs of work."""


class WebhookLane(Protocol):
    """Name the webhook of a lane (``lane.py``)."""

    webhook_id: str
    organization_id: str


L = TypeVar("L", bound=WebhookLane)


class FairQueue(Generic[L]):
    """Queue the lanes that have something to send, each at most once."""

    def __init__(self) -> None:
        self._lanes: WeightedFairQueue[L] = WeightedFairQueue()
        self._queued: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._queued)

    def add(self, lane: L) -> None:
        """Queue a lane behind the others of its organization. Do nothing if it is queued already."""
        if lane.webhook_id not in self._queued:
            self._queued.add(lane.webhook_id)
            self._lanes.add(lane.organization_id, lane)

    def next(self) -> L:
        """Remove and return the next lane. IndexError if none is queued."""
        lane = self._lanes.pop()
        self._queued.discard(lane.webhook_id)
        return lane


class Turns:
    """Count what begins in this turn of the running event loop, and queue what does not."""

    def __init__(self) -> None:
        self._left = TURN_UNITS
        self._is_counting = False
        self._waiting: WeightedFairQueue[tuple[int, Callable[[], bool]]] = WeightedFairQueue()

    async def take(self, organization_id: str, units: int) -> None:
        """Return when so much of this organization's work may begin, at once where little else does."""
        if self.try_take(units):
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def begin() -> bool:
            if turn.done():  # its caller was cancelled
                return False
            turn.set_result(None)
            return True

        self.add(organization_id, units, begin)
        await turn

    def try_take(self, units: int) -> bool:
        """Return True if so much work may begin now. If not, ``add`` it."""
        if self._left <= 0 or self._waiting:
            return False
        self._count(units)
        return True

    def add(self, organization_id: str, units: int, begin: Callable[[], bool]) -> None:
        """Call ``begin`` when it is this organization's turn; it returns False if there is nothing to do any more."""
        self._waiting.add(organization_id, (units, begin))

    def _count(self, units: int) -> None:
        self._left -= units
        if not self._is_counting:
            self._is_counting = True
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        """Begin a turn. What begins last may be more than is left; the next turns have less."""
        self._is_counting = False
        self._left = min(TURN_UNITS, self._left + TURN_UNITS)
        while self._waiting and self._left > 0:
            units, begin = self._waiting.peek()
            self._waiting.pop(units)
            if begin():
                self._count(units)
        if (self._waiting or self._left < TURN_UNITS) and not self._is_counting:
            self._count(0)
