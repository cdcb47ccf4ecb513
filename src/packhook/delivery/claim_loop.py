"""Claim due deliveries from the database when there is room for them, and give back what was not sent.

::

    hint (notify_due, release, room) ─▶ wake ─┐
    slow poll ────────────────────────────────┴─▶ release ─▶ claim ─▶ enqueue ─▶ when is more due? ─▶ timer ─▶ wake

A hint only makes it faster: if every hint is lost, the poll finds what is due.
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
from packhook.store.leasing import CLOCK_TOLERANCE

_log: Final = structlog.get_logger("packhook.claim")

POLL_SECONDS: Final = 5.0
STUCK_AFTER_SECONDS: Final = 60.0


class ClaimTarget(Protocol):
    """Take what was claimed."""

    def claim_capacity(self) -> Capacity | None:
        """Return what may be claimed now, None if there is no room."""
        ...

    def is_excluded(self, webhook_id: str, capacity: Capacity) -> bool:
        """Return True if a claim of this capacity leaves out the webhook."""
        ...

    def enqueue(self, leased: Sequence[LeasedDelivery]) -> None:
        """Queue deliveries that were claimed."""
        ...


class ClaimLoop:
    """Claim for one node. ``backlog`` are webhooks that have more due in the database than was claimed."""

    def __init__(self, store: Store, clock: Clock, target: ClaimTarget) -> None:
        self._store = store
        self._clock = clock
        self._target = target
        self._wakeup = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: int | None = None
        self._to_release: list[LeasedDelivery] = []
        self._aborted: set[str] = set()
        self._stopping = False
        self._seen_at = 0
        self._last_round = time.monotonic()
        self.backlog: set[str] = set()

    async def run(self) -> None:
        """Claim and release until ``stop``."""
        while not self._stopping:
            self._last_round = time.monotonic()
            self._wakeup.clear()
            self._timer_at = None
            await self._run_round()
            await self._wait()
        await self.flush_released()

    async def _run_round(self) -> None:
        try:
            await self._replan_if_set_back()
            await self.flush_released()
            await self._claim()
        except Exception:  # noqa: BLE001 the next round may succeed, and the node has other work
            _log.exception("claim_failed", detail="tried again")
            self.wake_at(self._clock.now() + SECOND)

    def stop(self) -> None:
        """Claim no more."""
        self._stopping = True
        self._wakeup.set()

    def is_healthy(self) -> bool:
        """Return True if the loop runs and is not stuck."""
        return not self._stopping and time.monotonic() - self._last_round < STUCK_AFTER_SECONDS

    def wake(self) -> None:
        """Start a round at once."""
        self._wakeup.set()

    def wake_at(self, due_at: int) -> None:
        """Start a round at this instant, or at an earlier one that is planned already."""
        now = self._clock.now()
        if due_at <= now:
            self._wakeup.set()
        elif self._timer_at is None or due_at < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = due_at
            self._timer = asyncio.get_running_loop().call_later((due_at - now) / SECOND, self._wakeup.set)

    def release(self, deliveries: Collection[LeasedDelivery]) -> None:
        """Give deliveries back to the database, unsent: any node may claim them, no attempt is counted."""
        self._to_release += deliveries
        self.backlog.update(delivery.webhook_id for delivery in deliveries)
        self._wakeup.set()

    def release_aborted(self, delivery: LeasedDelivery) -> None:
        """Give back a delivery that may have been sent; the database keeps that its outcome is unknown."""
        self._aborted.add(delivery.id)
        self.release((delivery,))

    async def flush_released(self) -> None:
        """Write what was given back. If the database is away the leases expire instead."""
        if not self._to_release:
            return
        deliveries, self._to_release = self._to_release, []
        aborted, self._aborted = self._aborted, set()
        try:
            await self._store.release(deliveries, self._clock.now(), aborted)
        except Unavailable as error:
            _log.error("release_failed", count=len(deliveries), detail=f"their leases will expire: {error.detail}")

    async def _replan_if_set_back(self) -> None:
        """Shorten what was planned by a clock that has been set back since the last round: it would be late by that."""
        now = self._clock.now()
        back = self._seen_at - now
        if back > CLOCK_TOLERANCE:
            count = await self._store.replan(now, back)
            _log.warning("clock_set_back", seconds=round(back / SECOND), replanned=count)
        self._seen_at = max(now, self._seen_at) if back <= CLOCK_TOLERANCE else now

    async def _claim(self) -> None:
        capacity = self._target.claim_capacity()
        if capacity is None:
            return
        request = ClaimRequest(now=self._clock.now(), capacity=capacity, per_lane=capacity.per_lane)
        try:
            claimed = await self._store.claim(request)
        except Unavailable as error:
            _log.error("claim_failed", detail=error.detail)
            self.wake_at(self._clock.now() + SECOND)
            return
        self.backlog = {one for one in self.backlog if self._target.is_excluded(one, capacity)} | claimed.backlog
        self._target.enqueue(claimed.deliveries)
        if claimed.next_due_at is not None:
            self.wake_at(claimed.next_due_at)

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._wakeup.wait()
        except TimeoutError:
            return
