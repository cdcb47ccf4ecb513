"""Begin replayed deliveries one by one, evenly, not all that were claimed at once: live ones wait for a burst.

A lane that has only replayed deliveries waits here for its turn, not in the fair queue. Each turn begins one delivery.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from packhook.delivery.lane import Lane

HEADROOM: Final = 1.25
"""More begin in a second than steps queue, so that none pile up."""

TICK_SECONDS: Final = 0.001
"""What timers and the loop's clock resolve."""

CATCH_UP_SECONDS: Final = 0.005
"""Timers are late where the loop is busy: what was missed within this time begins at once."""


class ReplayPace:
    """Spread the replayed deliveries of a node over time. ``resume`` gets each lane that may go on."""

    def __init__(self, rate: float, resume: Callable[[Lane], None]) -> None:
        self._interval = 1 / (rate * HEADROOM)
        self._resume = resume
        self._next_at = 0.0
        self._waiting: dict[str, Lane] = {}
        self._timer: asyncio.TimerHandle | None = None

    def admits(self, lane: Lane) -> bool:
        """Return True if a lane that has only replays may begin one. If not, it waits here until it is resumed."""
        if self._has_token():
            return True
        self._waiting[lane.webhook_id] = lane
        self._wait()
        return False

    def spend(self) -> None:
        """Count a replayed delivery that begins."""
        now = asyncio.get_running_loop().time()
        self._next_at = max(self._next_at, now - CATCH_UP_SECONDS) + self._interval

    def close(self) -> None:
        """Resume no lane any more."""
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _has_token(self) -> bool:
        return self._next_at < asyncio.get_running_loop().time() + TICK_SECONDS

    def _wait(self) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(TICK_SECONDS, self._next_at - loop.time()), self._on_timer)

    def _on_timer(self) -> None:
        """Resume the lane that has waited longest, and the next one where that had nothing to send."""
        self._timer = None
        while self._waiting and self._has_token():
            self._resume(self._waiting.pop(next(iter(self._waiting))))
        if self._waiting:
            self._wait()
