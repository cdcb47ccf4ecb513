"""Keep the lanes of this node, and serve those that have something to send in turn.

The turns are round robin over the organizations, and over the lanes of each organization.
"""

import asyncio
from collections.abc import Callable, Collection, Iterator
from typing import Final

from packhook.core.clock import MINUTE, SECOND
from packhook.core.fair_queue import WeightedFairQueue
from packhook.delivery.lane import Lane

IDLE_LIFETIME: Final = 10 * MINUTE


class FairQueue:
    """Queue the lanes that have something to send, each at most once."""

    def __init__(self) -> None:
        self._lanes: WeightedFairQueue[Lane] = WeightedFairQueue()
        self._queued: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._queued)

    def add(self, lane: Lane) -> None:
        """Queue a lane behind the others of its organization. Do nothing if it is queued already."""
        if lane.webhook_id not in self._queued:
            self._queued.add(lane.webhook_id)
            self._lanes.add(lane.organization_id, lane)

    def next(self) -> Lane:
        """Remove and return the next lane. IndexError if none is queued."""
        lane = self._lanes.pop()
        self._queued.discard(lane.webhook_id)
        return lane


class LaneTable:
    """Find lanes by webhook. Each has at most one timer, which calls ``recheck`` with the lane.

    ``held`` are the webhooks whose lanes are on hold: they get nothing new until they are reopened.
    """

    def __init__(self, max_in_flight_per_lane: int, recheck: Callable[[Lane], None]) -> None:
        self._max_in_flight_per_lane = max_in_flight_per_lane
        self._recheck = recheck
        self._lanes: dict[str, Lane] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._cleaned_at = 0
        self.held: set[str] = set()

    def __iter__(self) -> Iterator[Lane]:
        return iter(self._lanes.values())

    def __len__(self) -> int:
        return len(self._lanes)

    def __contains__(self, webhook_id: str) -> bool:
        return webhook_id in self._lanes

    def __getitem__(self, webhook_id: str) -> Lane:
        return self._lanes[webhook_id]

    def get(self, webhook_id: str) -> Lane | None:
        """Return the lane of this webhook, None if there is none."""
        return self._lanes.get(webhook_id)

    def get_or_create(self, webhook_id: str, organization_id: str) -> Lane:
        """Return the lane of this webhook."""
        lane = self._lanes.get(webhook_id)
        if lane is None:
            lane = self._lanes[webhook_id] = Lane(webhook_id, organization_id, self._max_in_flight_per_lane)
        return lane

    def hold(self, lane: Lane, now: int) -> None:
        """Put a lane on hold until its breaker's hold is over, and recheck it then."""
        self.held.add(lane.webhook_id)
        self.recheck_in(lane, lane.breaker.held_until - now)

    def try_reopen(self, lane: Lane, now: int) -> bool:
        """End the lane's hold if its time has come; return True if that ended one."""
        if lane.webhook_id not in self.held or lane.breaker.is_held(now):
            return False
        self.held.discard(lane.webhook_id)
        return True

    def recheck_in(self, lane: Lane, milliseconds: int) -> None:
        """Call ``recheck`` after this time, or at an earlier instant that is planned already."""
        loop = asyncio.get_running_loop()
        at = loop.time() + max(1, milliseconds) / SECOND
        planned = self._timers.get(lane.webhook_id)
        if planned is not None:
            if planned.when() <= at:
                return
            planned.cancel()
        self._timers[lane.webhook_id] = loop.call_at(at, self._on_timer, lane)

    def remove_idle(self, now: int, keep: Collection[str]) -> None:
        """Remove, now and then, the lanes that have been idle for ten minutes; what they learned goes with them."""
        if now - self._cleaned_at < IDLE_LIFETIME // 10:
            return
        self._cleaned_at = now
        for lane in list(self._lanes.values()):
            webhook_id = lane.webhook_id
            is_idle = not lane.is_busy(now) and now - lane.idle_since > IDLE_LIFETIME
            if is_idle and webhook_id not in self.held and webhook_id not in keep:
                del self._lanes[webhook_id]
                self._cancel_timer(webhook_id)

    def close(self) -> None:
        """Cancel all timers."""
        for webhook_id in list(self._timers):
            self._cancel_timer(webhook_id)

    def _cancel_timer(self, webhook_id: str) -> None:
        timer = self._timers.pop(webhook_id, None)
        if timer is not None:
            timer.cancel()

    def _on_timer(self, lane: Lane) -> None:
        self._timers.pop(lane.webhook_id, None)
        self._recheck(lane)
