"""The way from the database into memory and back: claims what is due when there is room, returns what was not sent.

::

    hint (wake, release, room) ─▶ due ─┐
    slow poll ─────────────────────────┴─▶ give back ─▶ claim ─▶ accept ─▶ when is more due? ─▶ timer ─▶ due
"""

import asyncio
import time
from collections.abc import Collection, Sequence
from typing import Final, Protocol

import structlog

from packhook.core.clock import SECOND, Clock
from packhook.core.errors import Unavailable
from packhook.core.model import LeasedDelivery
from packhook.store.base import ClaimRequest, Store
from packhook.store.dispatcher import Capacity

_log: Final = structlog.get_logger("packhook.claim")

POLL: Final = 5 * SECOND
STUCK_AFTER_SECONDS: Final = 60.0


class Hands(Protocol):
    """Who takes what was claimed."""

    def begin(self) -> tuple[Capacity, int] | None:
        """What may be claimed now, and how much of it for one webhook; None where there is no room."""
        ...

    def enqueue(self, leased: Sequence[LeasedDelivery]) -> None:
        """Take these."""
        ...


class Claimer:
    """Claims for one node. ``backlog`` are webhooks that have more in the database than was claimed."""

    def __init__(self, store: Store, clock: Clock, hands: Hands) -> None:
        self._store = store
        self._clock = clock
        self._hands = hands
        self._due = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: int | None = None
        self._given_back: list[LeasedDelivery] = []
        self._cut_off: set[str] = set()
        self._stopping = False
        self._beat = time.monotonic()
        self.backlog: set[str] = set()

    async def run(self) -> None:
        """Until told to stop."""
        while not self._stopping:
            self._beat = time.monotonic()
            self._due.clear()
            self._timer_at = None
            await self.give_back()
            await self._claim()
            await self._wait()
        await self.give_back()

    def stop(self) -> None:
        """Claim no more."""
        self._stopping = True
        self._due.set()

    def is_moving(self) -> bool:
        """Whether it has come round lately."""
        return not self._stopping and time.monotonic() - self._beat < STUCK_AFTER_SECONDS

    def now(self) -> None:
        """Come round at once."""
        self._due.set()

    def at(self, due_at: int) -> None:
        """Come round at this instant, or at an earlier one that is planned already."""
        now = self._clock.now()
        if due_at <= now:
            self._due.set()
        elif self._timer_at is None or due_at < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = due_at
            self._timer = asyncio.get_running_loop().call_later((due_at - now) / SECOND, self._due.set)

    def release(self, deliveries: Collection[LeasedDelivery]) -> None:
        """Return these to the database, unsent: any node may take them, no attempt is counted."""
        self._given_back += deliveries
        self.backlog.update(delivery.webhook_id for delivery in deliveries)
        self._due.set()

    def cut_off(self, delivery: LeasedDelivery) -> None:
        """Return one that may have been sent: its outcome is unknown, and that is kept."""
        self._cut_off.add(delivery.id)
        self.release((delivery,))

    async def give_back(self) -> None:
        """Return what waits to be returned."""
        if not self._given_back:
            return
        given_back, self._given_back = self._given_back, []
        cut_off, self._cut_off = self._cut_off, set()
        try:
            await self._store.release(given_back, self._clock.now(), cut_off)
        except Unavailable as error:
            _log.error("release_failed", count=len(given_back), detail=f"their leases will run out: {error.detail}")

    async def _claim(self) -> None:
        begun = self._hands.begin()
        if begun is None:
            return
        capacity, per_lane = begun
        try:
            claimed = await self._store.claim(ClaimRequest(now=self._clock.now(), capacity=capacity, per_lane=per_lane))
        except Unavailable as error:
            _log.error("claim_failed", detail=error.detail)
            self.at(self._clock.now() + SECOND)
            return
        self.backlog = {webhook_id for webhook_id in self.backlog if webhook_id in capacity.excluded} | claimed.backlog
        self._hands.enqueue(claimed.deliveries)
        if claimed.next_due_at is not None:
            self.at(claimed.next_due_at)

    async def _wait(self) -> None:
        """Until something is due and there is room for it; a slow poll is the truth, whatever hints were lost."""
        try:
            async with asyncio.timeout(POLL / SECOND):
                await self._due.wait()
        except TimeoutError:
            return
