"""Which lanes are held, and when each lane is looked at again. What a hold means is dispatch.py's."""

import asyncio
from collections.abc import Callable

from packhook.core.clock import SECOND
from packhook.delivery.lane import Lane


class Holds:
    """``held`` are webhooks whose lanes are closed to the dispatcher; ``look`` is called when a lane's time has come.

    One timer for each lane, the earliest that was asked for.
    """

    def __init__(self, look: Callable[[Lane], None]) -> None:
        self._look = look
        self._looks: dict[str, asyncio.TimerHandle] = {}
        self.held: set[str] = set()

    def hold(self, lane: Lane, now: int) -> None:
        """Until its hold is over; look at it then."""
        self.held.add(lane.webhook_id)
        self.look_again(lane, lane.held_until - now)

    def let_out(self, lane: Lane, now: int) -> bool:
        """Whether it was held, and its hold is over: then it is held no more."""
        if lane.webhook_id not in self.held or lane.is_held(now):
            return False
        self.held.discard(lane.webhook_id)
        return True

    def look_again(self, lane: Lane, in_ms: int) -> None:
        """Look at this lane again then, or at an earlier instant that is planned already."""
        loop = asyncio.get_running_loop()
        at = loop.time() + max(1, in_ms) / SECOND
        planned = self._looks.get(lane.webhook_id)
        if planned is not None:
            if planned.when() <= at:
                return
            planned.cancel()
        self._looks[lane.webhook_id] = loop.call_at(at, self._looks_now, lane)

    def forget(self, lane: Lane) -> None:
        """It is no more."""
        planned = self._looks.pop(lane.webhook_id, None)
        if planned is not None:
            planned.cancel()

    def stop(self) -> None:
        """Look at nothing any more."""
        for planned in self._looks.values():
            planned.cancel()
        self._looks.clear()

    def _looks_now(self, lane: Lane) -> None:
        self._looks.pop(lane.webhook_id, None)
        self._look(lane)
